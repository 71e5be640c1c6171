"""FcF: structure and texture hand in hand, for squares of 512 pixels. Its weights are for non-commercial use."""

from ..registry import Licence, ModelEntry, SizeRequirement, Strategy, WeightsFile

_FILE = "places_512_G.pth"

ENTRY = ModelEntry(
    name="fcf",
    title="FcF",
    tagline="repeating structure over large holes, at 512 pixels",
    description=(
        "Continues repeating structure with Fourier convolutions and invents the rest, as LaMa and a StyleGAN in one. "
        "Trained on photographs of places; sees 512 pixels around the hole and is soft on larger ones."
    ),
    licence=Licence(
        "Apache-2.0 and NVIDIA Source Code License",
        "https://github.com/SHI-Labs/FcF-Inpainting#license",
        commercial_use=False,
    ),
    loader="inpaint_models.fcf.engine:load",
    kind="creative",
    layouts="inpaint_models.fcf.checkpoint:layouts",
    telltales=("synthesis.foreword.", ".ffc_skip."),
    weights=(
        WeightsFile(
            _FILE,
            sources=(f"https://github.com/Sanster/models/releases/download/add_fcf/{_FILE}",),
            approx_size_bytes=343_000_000,
            md5="3323152bc01bf1c56fd8aba74435a211",
        ),
    ),
    size=SizeRequirement(minimum=512, multiple_of=512, square=True),
    strategy=Strategy(kind="crop", crop_above=512, margin_px=128, max_side=512),
    synthesises=True,
    memory_bytes=470 * 2**20,
    bytes_per_px=3_600,
)
