"""Enlarging with invented detail: Real-ESRGAN, or any other such network in a file of ONNX."""

from ..registry import Licence, ModelEntry, Parameter, SizeRequirement, Strategy, WeightsFile

_REPOSITORY = "https://huggingface.co/SceneWorks/real-esrgan-onnx/resolve/09f741bac80a246b407da3ee902bf5f3291b602f"

ENTRY = ModelEntry(
    name="real-esrgan",
    title="Real-ESRGAN",
    tagline="larger with invented detail, slow",
    description=(
        "Twice or four times the size by a network that removes noise and JPEG blocks and invents fine texture. Takes "
        "some nine minutes of one core for each megapixel. Any ONNX network that enlarges works in its place: put it "
        "into the folder real-esrgan of the model folder."
    ),
    licence=Licence("BSD-3-Clause", "https://github.com/xinntao/Real-ESRGAN/blob/master/LICENSE"),
    loader="inpaint_models.realesrgan.engine:load",
    task="enlarge",
    weights=(
        WeightsFile(
            "real_esrgan_x4.onnx",
            sources=(f"{_REPOSITORY}/real_esrgan_x4.onnx",),
            size_bytes=67_051_616,
            sha256="5c586662929cbc686c1a5c38d9c060dbdb4ea5863a1f7672b8c0761e6b89c033",
        ),
    ),
    alternatives=(
        (
            WeightsFile(
                "real_esrgan_x2.onnx",
                sources=(f"{_REPOSITORY}/real_esrgan_x2.onnx",),
                size_bytes=67_073_434,
                sha256="7115ba92e8a1bfa63d68558ef006ef3d91273a068d321b1439f8bb1c9179002c",
            ),
        ),
    ),
    requires=("onnxruntime",),
    extra="onnx",
    size=SizeRequirement(minimum=16, multiple_of=4),
    strategy=Strategy(margin_px=16, max_side=160),
    parameters=(Parameter("factor", "choice", "2", choices=("2", "4"), help="How many times as long each side gets."),),
    memory_bytes=150 * 2**20,
    bytes_per_px=20_000,
)
