"""OpenCV's two classical fills: no weights, fast, and only good for thin scratches."""

from ..registry import Licence, ModelEntry, Parameter, Strategy

ENTRY = ModelEntry(
    name="opencv",
    aliases=("cv2",),
    title="OpenCV",
    tagline="instant, for scratches and dust",
    description="Carries colours smoothly into the hole. Good for scratches, wires and dust; smears larger things.",
    licence=Licence("Apache-2.0", "https://github.com/opencv/opencv/blob/5.x/LICENSE"),
    loader="inpaint_models.opencv.engine:load",
    kind="quick",
    needs_known=True,
    strategy=Strategy(kind="crop", crop_above=0, margin_px=32, max_side=16384),
    parameters=(
        Parameter(
            "method",
            "choice",
            "telea",
            choices=("telea", "navier-stokes"),
            help="Telea (2004): fast marching. Navier-Stokes (Bertalmio et al. 2001): continues isophotes.",
        ),
        Parameter("radius", "int", 5, 1, 100, help="Neighbourhood of a filled pixel, in pixels of the image."),
    ),
)
