"""MI-GAN: a small and quick network. Half a second on a processor, and 28 MiB to fetch."""

from ..registry import Licence, ModelEntry, SizeRequirement, Strategy, WeightsFile

ENTRY = ModelEntry(
    name="migan",
    title="MI-GAN",
    tagline="small and quick, for any machine",
    description=(
        "Fills in about half a second on a processor, from a download of 28 MiB. Trained on photographs of places at "
        "512 pixels; LaMa continues structure better over large holes."
    ),
    licence=Licence("MIT", "https://github.com/Picsart-AI-Research/MI-GAN/blob/main/LICENSE"),
    loader="inpaint_models.migan.engine:load",
    kind="quick",
    layouts="inpaint_models.migan.checkpoint:layouts",
    telltales=("encoder.b4.conv1.conv1.", "synthesis.b4.conv1.conv2."),
    weights=(
        WeightsFile(
            "migan_traced.pt",
            sources=("https://github.com/Sanster/models/releases/download/migan/migan_traced.pt",),
            approx_size_bytes=29_500_000,
            md5="76eb3b1a71c400ee3290524f7a11b89c",
        ),
    ),
    size=SizeRequirement(minimum=512, multiple_of=512, square=True),
    strategy=Strategy(kind="crop", crop_above=512, margin_px=128, max_side=512),
    synthesises=True,
    memory_bytes=84 * 2**20,
    bytes_per_px=700,
)
