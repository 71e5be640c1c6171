"""Restoring faces: GFPGAN, on the faces that YuNet finds."""

from ..registry import Licence, ModelEntry, Parameter, WeightsFile

_FACEFUSION = "facefusion"

ENTRY = ModelEntry(
    name="gfpgan",
    title="GFPGAN",
    tagline="restores faces in old and small photos",
    description=(
        "Finds faces and draws each anew at 512 pixels, for photos that are blurred, noisy or small. The rest of the "
        "photo stays as it is. A face is made likely, not recovered: compare it with the original."
    ),
    licence=Licence(
        "Apache-2.0, parts NVIDIA Source Code License and CC BY-NC-SA 4.0",
        "https://github.com/TencentARC/GFPGAN/blob/master/LICENSE",
        commercial_use=False,
    ),
    loader="inpaint_models.gfpgan.engine:load",
    task="restore",
    weights=(
        WeightsFile(
            "gfpgan_1.4.onnx",
            sources=(
                f"https://huggingface.co/{_FACEFUSION}/models-3.0.0/resolve/main/gfpgan_1.4.onnx",
                f"https://github.com/{_FACEFUSION}/{_FACEFUSION}-assets/releases/download/models-3.0.0/gfpgan_1.4.onnx",
            ),
            size_bytes=340_299_087,
            sha256="accc4757b26bdb89b32b4d3500d4f79c9dff97c1dd7c7104bf9dcb95e3311385",
        ),
        WeightsFile(
            "face_detection_yunet_2023mar.onnx",
            sources=(
                "https://media.githubusercontent.com/media/opencv/opencv_zoo/47534e27c9851bb1128ccc0102f1145e27f23f98/"
                "models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
            ),
            size_bytes=232_589,
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        ),
    ),
    requires=("onnxruntime",),
    extra="onnx",
    parameters=(
        Parameter(
            "strength", "float", 1.0, 0.0, 1.0, help="How much of the new face shows; less keeps more of the old."
        ),
    ),
    memory_bytes=900 * 2**20,
    bytes_per_px=20,
)
