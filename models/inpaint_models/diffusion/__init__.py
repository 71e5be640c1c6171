"""Stable Diffusion and its relatives, run by the diffusers library: models that are told in words what to paint.

They replace and extend; for removing, models that copy or continue the surroundings do better. Rombach et al., CVPR
2022 (Stable Diffusion); Podell et al., 2023 (SDXL); Yang et al., CVPR 2023 (Paint by Example); Brooks et al., CVPR 2023
(InstructPix2Pix).
"""

from ..registry import Licence, WeightsFolder
from .families import FAMILIES, entry_of

_RAIL = Licence("CreativeML OpenRAIL-M", "https://huggingface.co/spaces/CompVis/stable-diffusion-license")
_RAIL_2 = Licence(
    "CreativeML OpenRAIL++-M", "https://huggingface.co/stabilityai/stable-diffusion-2/blob/main/LICENSE-MODEL"
)

SD15 = entry_of(
    FAMILIES["sd"],
    name="sd15",
    aliases=("sd1.5", "runwayml/stable-diffusion-inpainting"),
    title="Stable Diffusion 1.5",
    licence=_RAIL,
    weights=WeightsFolder(
        "sd15",
        "stable-diffusion-v1-5/stable-diffusion-inpainting",
        "8a4288a76071f7280aedbdb3253bdb9e9d5d84bb",
        approx=2_130_000_000,
    ),
    values=1_066_000_000,
)

SD2 = entry_of(
    FAMILIES["sd"],
    name="sd2",
    aliases=("stabilityai/stable-diffusion-2-inpainting",),
    title="Stable Diffusion 2",
    licence=_RAIL_2,
    weights=WeightsFolder(
        "sd2",
        "sd2-community/stable-diffusion-2-inpainting",
        "5f74973cbb64c8568780732c17f43eb269d63a0d",
        approx=2_580_000_000,
    ),
    values=1_290_000_000,
)

SDXL = entry_of(
    FAMILIES["sdxl"],
    name="sdxl",
    title="Stable Diffusion XL",
    licence=Licence(
        "CreativeML OpenRAIL++-M",
        "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
    ),
    weights=WeightsFolder("sdxl", "diffusers/stable-diffusion-xl-1.0-inpainting-0.1", "main", approx=6_940_000_000),
    values=3_470_000_000,
)

PAINT_BY_EXAMPLE = entry_of(
    FAMILIES["paint-by-example"],
    name="paint-by-example",
    aliases=("paint_by_example",),
    title="Paint by Example",
    licence=_RAIL,
    weights=WeightsFolder("paint-by-example", "Fantasy-Studio/Paint-by-Example", "main", approx=5_000_000_000),
    values=1_250_000_000,
)

INSTRUCT_PIX2PIX = entry_of(
    FAMILIES["instruct-pix2pix"],
    name="instruct-pix2pix",
    aliases=("instruct_pix2pix",),
    title="InstructPix2Pix",
    licence=Licence("MIT", "https://github.com/timothybrooks/instruct-pix2pix/blob/main/LICENSE"),
    weights=WeightsFolder("instruct-pix2pix", "timbrooks/instruct-pix2pix", "main", approx=2_130_000_000),
    values=1_066_000_000,
)
