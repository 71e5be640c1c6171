"""Exemplar fill: continues texture and structure by copying fitting parts of the same picture. Needs no weights."""

from ..registry import Licence, ModelEntry, Strategy

ENTRY = ModelEntry(
    name="patchmatch",
    title="PatchMatch",
    tagline="continues texture, works offline",
    description=(
        "Rebuilds the hole from fitting parts of the same picture, sharp and at full resolution. Good where what is "
        "behind the thing can be seen elsewhere: ground, walls, foliage, water, fences, sky."
    ),
    licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    loader="inpaint_models.patchmatch.engine:load",
    kind="natural",
    requires=("numba",),
    strategy=Strategy(kind="crop", crop_above=0, margin_px=64, max_side=16384, context=1.0),
    stochastic=True,
    needs_known=True,
    source_control=True,
    grow_px=4,
    memory_bytes=130 * 2**20,
    reach_px=1024,
    bytes_per_px=150,
)
