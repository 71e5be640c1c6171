"""Latent diffusion inpainting (Rombach et al., CVPR 2022), configuration inpainting_big.

The same weights are published as one training checkpoint and as three TorchScript files; either set is enough.
"""

from ..registry import Licence, ModelEntry, Parameter, SizeRequirement, Strategy, WeightsFile

ENCODE_FILE = "cond_stage_model_encode.pt"
DECODE_FILE = "cond_stage_model_decode.pt"
DIFFUSION_FILE = "diffusion.pt"
CHECKPOINT_FILE = "ldm-inpainting-big.ckpt"

_SANSTER = "https://github.com/Sanster/models/releases/download/add_ldm"

ENTRY = ModelEntry(
    name="ldm",
    title="Latent diffusion",
    tagline="another result for each seed, rich texture, slow without a GPU",
    description=(
        "Invents, step by step from noise, what could have been there: for large holes whose surroundings do not say "
        "what is behind. Another seed gives another result. Trained on photographs of places."
    ),
    licence=Licence("MIT (code)", "https://github.com/CompVis/latent-diffusion/blob/main/LICENSE"),
    loader="inpaint_models.ldm.engine:load",
    kind="creative",
    layouts="inpaint_models.ldm.checkpoint:layouts",
    telltales=("diffusion_model.input_blocks.", "first_stage_model.", "input_blocks.", "quant_conv."),
    weights=tuple(
        WeightsFile(name, (f"{_SANSTER}/{name}",), approx_size_bytes=size, md5=md5)
        for name, size, md5 in (
            (ENCODE_FILE, 85_000_000, "23239fc9081956a3e70de56472b3f296"),
            (DECODE_FILE, 128_000_000, "fe419cd15a750d37a4733589d0d3585c"),
            (DIFFUSION_FILE, 1_549_000_000, "b0afda12bf790c03aba2a7431f11d22d"),
        )
    ),
    alternatives=((WeightsFile(CHECKPOINT_FILE, ("https://heibox.uni-heidelberg.de/f/4d9ac7ea40c64582b7c9/?dl=1",)),),),
    # 4 pixels per latent cell times the 8 of the U-Net's coarsest level; 256 is the size it was trained at.
    size=SizeRequirement(minimum=256, multiple_of=32),
    strategy=Strategy(kind="crop", crop_above=1080, margin_px=128, max_side=1080),
    synthesises=True,
    parameters=(
        Parameter(
            "steps",
            "int",
            20,
            2,
            200,
            help="Denoising steps. Time grows with them; beyond 50 the result hardly changes.",
        ),
        Parameter(
            "sampler",
            "choice",
            "plms",
            choices=("plms", "ddim"),
            help="plms (Liu et al. 2022) needs fewer steps; ddim (Song et al. 2021) is the original's choice with 50.",
        ),
    ),
    warm_up={"steps": 2},
    stochastic=True,
    memory_bytes=2_000 * 2**20,
    bytes_per_px=5_000,
)
