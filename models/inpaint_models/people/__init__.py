"""Finding people, with a small network of which OpenCV's own collection has the file."""

from ..registry import Licence, ModelEntry, WeightsFile

ENTRY = ModelEntry(
    name="people",
    title="People",
    tagline="people who take up a good part of the photo",
    description=(
        "Finds people and outlines each. Made for people in the foreground: those who are small in the photo are not "
        "found. PP-HumanSeg of PaddleSeg."
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
                "https://huggingface.co/opencv/human_segmentation_pphumanseg/resolve/main/"
                "human_segmentation_pphumanseg_2023mar.onnx",
            ),
            size_bytes=6_163_938,
            sha256="552d8a984054e59b5d773d24b9b12022b22046ceb2bbc4c9aaeaceb36a9ddf24",
        ),
    ),
    memory_bytes=40 * 2**20,
)
