"""Selecting what has one colour: from where a person points, as far as similar colours are connected. No weights."""

from ..parameters import Parameter
from ..registry import Licence, ModelEntry

ENTRY = ModelEntry(
    name="wand",
    title="Magic wand",
    tagline="connected pixels of one colour",
    description=(
        "Selects what is connected to a point and has its colour, such as a sky, a wall or a plain shirt. "
        "The tolerance says how far colours may be off; strokes take the colours along them."
    ),
    licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    loader="inpaint_models.wand.engine:load",
    task="select",
    gesture="sample",
    parameters=(
        Parameter("tolerance", "int", 24, 0, 255, help="How far a colour may be off, in levels of 255 in each channel"),
    ),
)
