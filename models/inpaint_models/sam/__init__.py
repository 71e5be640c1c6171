"""Selecting things by pointing at them: networks that were trained to segment anything."""

from ..registry import FolderFile, Licence, ModelEntry, WeightsFile, WeightsFolder

_EXPORT = "https://huggingface.co/Acly/MobileSAM/resolve/0d3b403339b4674a82493d5e97964dd78089ddc8"

MOBILE_SAM = ModelEntry(
    name="mobilesam",
    title="MobileSAM",
    tagline="point at a thing, and it is selected; small and quick",
    description=(
        "Shows the outline of whatever is under the pointer, as a part or as the whole. Small and quick on any "
        "machine; SAM 2.1 is surer of what belongs together. It looks at what is on the screen, so things are found at "
        "any size."
    ),
    licence=Licence("Apache-2.0", "https://github.com/ChaoningZhang/MobileSAM/blob/master/LICENSE"),
    loader="inpaint_models.sam.mobile:load",
    task="select",
    gesture="point",
    weights=(
        WeightsFile(
            "mobile_sam_image_encoder.onnx",
            sources=(f"{_EXPORT}/mobile_sam_image_encoder.onnx",),
            size_bytes=28_157_093,
            sha256="580f5fb648ea1062c0aabc26217aed56921985f03f0cbbd852bba81d760cc749",
        ),
        WeightsFile(
            "sam_mask_decoder_multi.onnx",
            sources=(f"{_EXPORT}/sam_mask_decoder_multi.onnx",),
            size_bytes=16_496_559,
            sha256="8976b90a87ba50a6a72217a5ff994f7d25ce16f2229fcc1ed259e1294c622ffe",
        ),
    ),
    requires=("onnxruntime",),
    extra="onnx",
    memory_bytes=60 * 2**20,
    bytes_per_px=700,
)

SAM2 = ModelEntry(
    name="sam2",
    title="SAM 2.1",
    tagline="point at a thing, and it is selected",
    description=(
        "Shows the outline of whatever is under the pointer, as a part or as the whole. SAM 2.1 tiny of Meta, run by "
        "the transformers library; it looks at what is on the screen, so things are found at any size."
    ),
    licence=Licence("Apache-2.0", "https://github.com/facebookresearch/sam2/blob/main/LICENSE"),
    loader="inpaint_models.sam.sam2:load",
    task="select",
    gesture="point",
    weights=(
        WeightsFolder(
            "sam2.1-hiera-tiny",
            "facebook/sam2.1-hiera-tiny",
            "de431c4043854a71d8101e17995dfe596bf101a5",
            (
                FolderFile("config.json", None, "860aff9751b139d83a4ad7df1e5535416fded533e0ead02625edbefcb9953cce"),
                FolderFile(
                    "model.safetensors",
                    155_908_064,
                    "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7",
                ),
            ),
        ),
    ),
    requires=("transformers",),
    extra="select",
    memory_bytes=160 * 2**20,
    bytes_per_px=900,
)
