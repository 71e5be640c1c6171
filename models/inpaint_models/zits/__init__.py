"""ZITS: continues edges and lines into the hole first, and then draws along them."""

from ..registry import Licence, ModelEntry, Parameter, SizeRequirement, Strategy, WeightsFile

WIREFRAME_FILE = "zits-wireframe-0717.pt"
TRANSFORMER_FILE = "zits-edge-line-0717.pt"
UPSAMPLER_FILE = "zits-structure-upsample-0717.pt"
TEXTURE_FILE = "zits-inpaint-0717.pt"
WIREFRAME_CHECKPOINT = "best_lsm_hawp.pth"
TRANSFORMER_CHECKPOINT = "best_transformer_places2.pth"
UPSAMPLER_CHECKPOINT = "StructureUpsampling.pth"
TEXTURE_CHECKPOINT = "InpaintingModel_best_gen.pth"

_SANSTER = "https://github.com/Sanster/models/releases/download/add_zits"
_WIREFRAME = "https://drive.google.com/drive/folders/1yg4Nc20D34sON0Ni_IOezjJCFHXKGWUW"
_OTHERS = "https://drive.google.com/drive/folders/1Dg_6ZCAi0U3HzrYgXwr9nSaOLnPsf9n-"

ENTRY = ModelEntry(
    name="zits",
    title="ZITS",
    tagline="buildings and rooms: edges and lines first",
    description=(
        "Finds the edges and straight lines around the hole, continues them through it, and draws along them. For "
        "walls, windows and furniture. What it has inferred is shown while it draws."
    ),
    licence=Licence("Apache-2.0", "https://github.com/DQiaole/ZITS_inpainting/blob/main/LICENSE"),
    loader="inpaint_models.zits.engine:load",
    kind="natural",
    layouts="inpaint_models.zits.checkpoint:layouts",
    telltales=("backbone.score_.", "attn_row.", "convs.7.", "direct_emb.", "middle.0.ffc1."),
    weights=(
        WeightsFile(
            WIREFRAME_FILE,
            (f"{_SANSTER}/{WIREFRAME_FILE}",),
            approx_size_bytes=42_000_000,
            md5="a9727c63a8b48b65c905d351b21ce46b",
        ),
        WeightsFile(
            TRANSFORMER_FILE,
            (f"{_SANSTER}/{TRANSFORMER_FILE}",),
            approx_size_bytes=74_000_000,
            md5="55e31af21ba96bbf0c80603c76ea8c5f",
        ),
        WeightsFile(
            UPSAMPLER_FILE,
            (f"{_SANSTER}/{UPSAMPLER_FILE}",),
            approx_size_bytes=310_000,
            md5="3d88a07211bd41b2ec8cc0d999f29927",
        ),
        WeightsFile(
            TEXTURE_FILE,
            (f"{_SANSTER}/{TEXTURE_FILE}",),
            approx_size_bytes=199_000_000,
            md5="9978cc7157dc29699e42308d675b2154",
        ),
    ),
    alternatives=(
        (
            WeightsFile(WIREFRAME_CHECKPOINT, (_WIREFRAME,)),
            WeightsFile(TRANSFORMER_CHECKPOINT, (_OTHERS,)),
            WeightsFile(UPSAMPLER_CHECKPOINT, (_OTHERS,)),
            WeightsFile(TEXTURE_CHECKPOINT, (_OTHERS,)),
        ),
    ),
    size=SizeRequirement(minimum=256, multiple_of=32, square=True),
    strategy=Strategy(kind="crop", crop_above=1024, margin_px=128, max_side=1024),
    synthesises=True,
    parameters=(
        Parameter(
            "wireframe",
            "bool",
            True,
            help="Infer edges and lines. Without them the hole is filled by texture alone, in less time.",
        ),
        Parameter(
            "passes",
            "int",
            5,
            1,
            10,
            help="In how many passes edges and lines are drawn into the hole, the surest pixels first.",
        ),
    ),
    warm_up={"passes": 1},
    memory_bytes=460 * 2**20,
    bytes_per_px=2_300,
)
