"""Enlarging by resampling: no weights, sharp edges, nothing invented."""

from ..registry import Licence, ModelEntry, Parameter, Strategy

ENTRY = ModelEntry(
    name="lanczos",
    title="Lanczos",
    tagline="larger without invention, instant",
    description=(
        "Twice or four times the size by resampling. Keeps edges as sharp as the photo has them and adds no detail "
        "that is not there."
    ),
    licence=Licence("Apache-2.0", "https://github.com/opencv/opencv/blob/5.x/LICENSE"),
    loader="inpaint_models.lanczos.engine:load",
    task="enlarge",
    strategy=Strategy(margin_px=8, max_side=1024),
    parameters=(Parameter("factor", "choice", "2", choices=("2", "4"), help="How many times as long each side gets."),),
    bytes_per_px=700,
)
