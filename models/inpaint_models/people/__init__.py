"""Finding people, with a small network of which OpenCV's own collection has the file."""

from ..registry import Licence, ModelEntry, WeightsFile

ENTRY = ModelEntry(
    name="people",
    title="People",
    tagline="people, large and small",
    description=(
        "Finds people and outlines each: in the whole photo, and who is small there in windows of a half and a quarter "
        "of its longer side. PP-HumanSeg of PaddleSeg."
    ),
    licence=Licence(
        "Apache-2.0", "https://github.com/opencv/opencv_zoo/blob/main/models/human_segmentation_pphumanseg/LICENSE"
    ),
    loader="inpaint_models.people.engine:load",
    task="find",
    weights=(
        WeightsFile(
            "human_segmentation_pphumanseg_2023mar.onnx",
            sources=(
                "https://github.com/opencv/opencv_zoo/raw/main/models/human_segmentation_pphumanseg/"
                "human_segmentation_pphumanseg_2023mar.onnx",
                "https://huggingface.co/opencv/human_segmentation_pphumanseg/resolve/"
                "e876e63603f6c65c1a22576bfd5fc7c07ecf9eb9/"
                "human_segmentation_pphumanseg_2023mar.onnx",
            ),
            size_bytes=6_163_938,
            sha256="552d8a984054e59b5d773d24b9b12022b22046ceb2bbc4c9aaeaceb36a9ddf24",
        ),
    ),
    memory_bytes=40 * 2**20,
)
