"""Cutting out what stands before a plain backdrop: no weights, exact, and honest about where it does not work."""

from ..parameters import BACKGROUND
from ..registry import Licence, ModelEntry, Parameter

ENTRY = ModelEntry(
    name="backdrop",
    title="Plain backdrop",
    tagline="cuts out product shots, instant",
    description=(
        "Takes out an even backdrop from the border inwards, with its soft shadows, and keeps what stands before it. "
        "For product shots and scans; a photo whose border is not plain is refused."
    ),
    licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    loader="inpaint_models.backdrop.engine:load",
    task="matte",
    parameters=(
        Parameter("tolerance", "int", 12, 1, 100, help="How far a pixel may be from the backdrop, in levels of 255."),
        Parameter(
            "shadow",
            "float",
            0.5,
            0.0,
            1.0,
            help="How much darker than the backdrop its shadow may be and still be taken out; 0 keeps shadows.",
        ),
        Parameter("holes", "bool", False, help="Takes out backdrop that the thing encloses, as inside a handle."),
        BACKGROUND,
    ),
    bytes_per_px=40,
)
