"""MAT, the mask-aware transformer: another seed, another result. Its weights are for non-commercial use."""

from ..registry import Licence, ModelEntry, Parameter, SizeRequirement, Strategy, WeightsFile

_HALF = WeightsFile(
    "MAT_Places512_G_fp16.safetensors",
    sources=("https://huggingface.co/Acly/MAT/resolve/main/MAT_Places512_G_fp16.safetensors",),
    size_bytes=125_280_278,
    sha256="309dd6ce6e04034dc4b6b15c7bd2a4844d158e03eb2a139e0eca6b366e40c0de",
)

_SINGLE = WeightsFile(
    "Places_512_FullData_G.pth",
    sources=("https://github.com/Sanster/models/releases/download/add_mat/Places_512_FullData_G.pth",),
    md5="8ca927835fa3f5e21d65ffcb165377ed",
)

ENTRY = ModelEntry(
    name="mat",
    title="MAT",
    tagline="large holes, several results",
    description=(
        "Invents plausible content for large holes, and something else for each seed. Trained on photographs of places "
        "at 512 pixels; a little soft beyond."
    ),
    licence=Licence("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/", commercial_use=False),
    loader="inpaint_models.mat.engine:load",
    kind="creative",
    layouts="inpaint_models.mat.engine:layouts",
    telltales=("synthesis.first_stage.", "synthesis.enc."),
    weights=(_HALF,),
    alternatives=((_SINGLE,),),
    size=SizeRequirement(minimum=512, multiple_of=512, square=True),
    strategy=Strategy(kind="crop", crop_above=512, margin_px=128, max_side=1024),
    synthesises=True,
    stochastic=True,
    memory_bytes=370 * 2**20,
    bytes_per_px=3_600,
    parameters=(
        Parameter(
            "truncation",
            "float",
            1.0,
            0.0,
            1.0,
            help="How much results differ: 1 as trained; towards 0 they come nearer to one average result.",
        ),
    ),
)
