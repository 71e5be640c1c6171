"""Selecting a thing from a rough stroke over it: no weights, one graph cut in a small view."""

from ..registry import Licence, ModelEntry

ENTRY = ModelEntry(
    name="grabcut",
    title="GrabCut",
    tagline="a rough stroke becomes the thing's outline",
    description=(
        "Finds the thing under a stroke, a point or in a box by its colours and edges. Good where it differs from what "
        "is around it; needs no weights and answers at once at any photo size."
    ),
    licence=Licence("Apache-2.0", "https://github.com/opencv/opencv/blob/5.x/LICENSE"),
    loader="inpaint_models.grabcut.engine:load",
    task="select",
)
