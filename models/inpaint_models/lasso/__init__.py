"""Selecting by a few points along a thing's outline: between them it follows the edges of the picture. No weights."""

from ..registry import Licence, ModelEntry

ENTRY = ModelEntry(
    name="lasso",
    title="Magnetic lasso",
    tagline="follows edges from point to point",
    description=(
        "Put points along the outline of a thing: between them the selection follows the strongest edges. A stroke "
        "along the outline does as well. From the last point it goes straight back to the first."
    ),
    licence=Licence("Apache-2.0", "https://github.com/opencv/opencv/blob/5.x/LICENSE"),
    loader="inpaint_models.lasso.engine:load",
    task="select",
    gesture="trace",
)
