"""Finding text and lettered logos, with the text detector that the package `rapidocr` carries."""

from ..registry import Licence, ModelEntry

ENTRY = ModelEntry(
    name="text",
    title="Text",
    tagline="lettering in any script, watermarks, captions",
    description=(
        "Finds lines of text in any script, size and direction, such as captions, dates, signs and watermarks. "
        "Uses the detector PP-OCRv6 of PaddleOCR from the package rapidocr."
    ),
    licence=Licence("Apache-2.0", "https://github.com/PaddlePaddle/PaddleOCR/blob/main/LICENSE"),
    loader="inpaint_models.text.engine:load",
    task="find",
    requires=("rapidocr",),
    extra="find",
    memory_bytes=60 * 2**20,
)
