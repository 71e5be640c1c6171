"""Finding dust and scratches, as on scans of slides and prints: no weights."""

from ..registry import Licence, ModelEntry

ENTRY = ModelEntry(
    name="dust",
    title="Dust and scratches",
    tagline="specks, hairs and scratches on even ground",
    description=(
        "Finds specks, hairs and scratches by what is smaller than anything around them on even ground. Made for scans "
        "of slides, negatives and prints."
    ),
    licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    loader="inpaint_models.dust.engine:load",
    task="find",
)
