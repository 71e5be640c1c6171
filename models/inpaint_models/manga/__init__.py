"""Manga inpainting: continues lines and screen tone of black and white pages."""

from ..registry import Licence, ModelEntry, Parameter, SizeRequirement, Strategy, WeightsFile

INPAINTER_FILE = "manga_inpaintor.jit"
LINES_FILE = "erika.jit"
LINES_CHECKPOINT = "erika.pth"
SEMANTIC_CHECKPOINT = "SemanticInpaintingModel_gen.pth"
APPEARANCE_CHECKPOINT = "MangaInpaintingModel_gen.pth"
SCREEN_CHECKPOINT = "latest_net_enc.pth"

_SANSTER = "https://github.com/Sanster/models/releases/download/manga"
_NETWORKS = "https://drive.google.com/file/d/1YeVwaNfchLhy3lAA7jOLBP-W23onjy8S"
_SCREEN = "https://drive.google.com/file/d/1QaXqR4KWl_lxntSy32QpQpXb-1-EP7_L"
_LINES = "https://github.com/ljsabc/MangaLineExtraction_PyTorch/releases"

ENTRY = ModelEntry(
    name="manga",
    title="Manga",
    tagline="black and white manga pages: lines and screen tone",
    description=(
        "Takes a page apart into lines and screen tone, continues both into the hole, and draws it in grey. For black "
        "and white pages; on a coloured one the fill is grey too. Another seed gives another result."
    ),
    licence=Licence(
        "CUHK (commercial use after written notice), lines MIT",
        "https://github.com/msxie92/MangaInpainting/blob/main/LICENSE",
    ),
    loader="inpaint_models.manga.engine:load",
    layouts="inpaint_models.manga.checkpoint:layouts",
    telltales=("decoder_scr4.", "contextul_attention", "pmconv1.conv.", "block0.model.0.residual."),
    weights=tuple(
        WeightsFile(name, (f"{_SANSTER}/{name}",), approx_size_bytes=size, md5=md5)
        for name, size, md5 in (
            (INPAINTER_FILE, 72_000_000, "7d8b269c4613b6b3768af714610da86c"),
            (LINES_FILE, 173_000_000, "0c926d5a4af8450b0d00bc5b9a095644"),
        )
    ),
    alternatives=(
        (
            WeightsFile(LINES_CHECKPOINT, (_LINES,)),
            WeightsFile(SCREEN_CHECKPOINT, (_SCREEN,)),
            WeightsFile(SEMANTIC_CHECKPOINT, (_NETWORKS,)),
            WeightsFile(APPEARANCE_CHECKPOINT, (_NETWORKS,)),
        ),
    ),
    # The line extractor halves four times; 64 leaves the semantic network's reflections enough to reflect.
    size=SizeRequirement(minimum=64, multiple_of=16),
    strategy=Strategy(kind="crop", crop_above=1024, margin_px=196, max_side=1024),
    parameters=(
        Parameter(
            "passes",
            "int",
            5,
            1,
            5,
            help="How often lines and screen tone are drawn, each time further into the hole.",
        ),
    ),
    warm_up={"passes": 1},
    stochastic=True,
    memory_bytes=350 * 2**20,
    bytes_per_px=4_000,
)
