"""Finding wires and cables before a sky or a wall: no weights."""

from ..registry import Licence, ModelEntry

ENTRY = ModelEntry(
    name="wires",
    title="Wires",
    tagline="long thin lines, as power lines before a sky",
    description="Finds wires, cables and other long thin lines that are alike on both sides, straight or sagging.",
    licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    loader="inpaint_models.wires.engine:load",
    task="find",
)
