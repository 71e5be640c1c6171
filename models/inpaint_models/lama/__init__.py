"""LaMa, and the same network trained on manga and anime.

The published files differ only in how they wrap the same tensors: "generator.model." in the official checkpoint,
"model.generator.model." or "model.model." in TorchScript files.
"""

from dataclasses import replace

from ..registry import Licence, ModelEntry, Parameter, SizeRequirement, Strategy, WeightsFile

_SANSTER = "https://github.com/Sanster/models/releases/download"
_HUGGING_FACE = "https://huggingface.co"

_REFINEMENT = (
    Parameter(
        "refine",
        "bool",
        False,
        help="Coarse to fine, for large holes whose filling looks washed out. It works where the shorter side of the "
        "crop is over 724 pixels, and takes minutes on a processor.",
    ),
    Parameter("refine_iterations", "int", 15, 1, 100, help="Passes at every size but the coarsest."),
    Parameter("refine_scales", "int", 3, 1, 5, help="At most so many sizes, each half of the next."),
    Parameter(
        "refine_megapixels", "float", 1.8, 0.3, 8.0, help="Larger crops are refined at this size, and enlarged after."
    ),
)

LAMA = ModelEntry(
    name="lama",
    title="LaMa",
    tagline="clean and fast, the all-rounder",
    description=(
        "Continues walls, floors, water and other repeating structure over large holes. Trained on photographs of "
        "places; best up to about two thousand pixels around the hole, and with refinement beyond."
    ),
    licence=Licence("Apache-2.0", "https://github.com/advimman/lama/blob/main/LICENSE"),
    loader="inpaint_models.lama.engine:load",
    kind="natural",
    layouts="inpaint_models.lama.checkpoint:layouts",
    telltales=("model.1.ffc.convl2l.",),
    weights=(
        WeightsFile(
            "big-lama.pt",
            sources=(
                f"{_SANSTER}/add_big_lama/big-lama.pt",
                f"{_HUGGING_FACE}/gaspardbruno/BigLama/resolve/main/big-lama.pt",
            ),
            size_bytes=205_669_692,
            sha256="344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
            md5="e3aa4aaa15225a33ec84f9f4bc47e500",
        ),
    ),
    alternatives=(
        (
            WeightsFile(
                "big-lama.safetensors",
                sources=(f"{_HUGGING_FACE}/biali/big-lama/resolve/main/big-lama.safetensors",),
            ),
        ),
    ),
    size=SizeRequirement(minimum=16, multiple_of=8),
    parameters=_REFINEMENT,
    pads_itself="refine",
    strategy=Strategy(kind="crop", crop_above=800, margin_px=196, max_side=2048),
    synthesises=True,
    memory_bytes=275 * 2**20,
    bytes_per_px=1_000,
)

ANIME_LAMA = replace(
    LAMA,
    name="anime-lama",
    title="LaMa for anime",
    tagline="the same network for drawings",
    description="LaMa trained on manga and anime: flat colours, line art and screen tone. Use LaMa for photographs.",
    licence=Licence("MIT", f"{_HUGGING_FACE}/dreMaz/AnimeMangaInpainting"),
    kind="",
    telltales=(),
    weights=(
        WeightsFile(
            "anime-manga-big-lama.pt",
            sources=(f"{_SANSTER}/AnimeMangaInpainting/anime-manga-big-lama.pt",),
            approx_size_bytes=206_000_000,
            md5="29f284f36a0a510bcacf39ecf4c4d54f",
        ),
    ),
    alternatives=(
        (
            WeightsFile(
                "lama_large_512px.ckpt",
                sources=(f"{_HUGGING_FACE}/dreMaz/AnimeMangaInpainting/resolve/main/lama_large_512px.ckpt",),
                sha256="11d30fbb3000fb2eceae318b75d9ced9229d99ae990a7f8b3ac35c8d31f2c935",
                md5="c09472d8ff584452a2c4529af520fe0b",
            ),
        ),
    ),
)
