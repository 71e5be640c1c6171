"""What the kinds of diffusers pipelines have in common, as data: parameters, sizes, texts. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..registry import Artifact, Licence, ModelEntry, Parameter, SizeRequirement, Strategy, WeightsFolder
from ..types import ParamValue

FamilyName = Literal["sd", "sdxl", "paint-by-example", "instruct-pix2pix"]

SAMPLERS = (
    "DPM++ 2M Karras",
    "DPM++ 2M",
    "DPM++ 2M SDE Karras",
    "DPM++ 2M SDE",
    "DPM2",
    "DPM2 a",
    "Euler",
    "Euler a",
    "Heun",
    "DDIM",
    "PNDM",
    "UniPC",
    "LCM",
)
"""By the names that people know, the default first; samplers.py says what each is."""

_PROMPT = Parameter(
    "prompt",
    "text",
    "",
    help="What should be there, in English. Left empty: what fits the surroundings, in half the time.",
    placeholder="A wooden bench. Or leave it empty, to remove",
)
_INSTRUCTION = Parameter(
    "prompt", "text", "", help="What should change, as an order, in English.", placeholder="Turn it into autumn"
)
_NEGATIVE = Parameter("negative_prompt", "text", "", help="What should not be there.", placeholder="Text, people")
_EXAMPLE = Parameter(
    "example", "picture", None, help="A picture of what should be there. Left out: the surroundings are the example."
)
_STEPS = Parameter("steps", "int", 25, 1, 200, help="Denoising steps. Time grows with them.")
_STRENGTH = Parameter(
    "strength",
    "float",
    1.0,
    0.02,
    1.0,
    help="How much of what is there is given up; below 1 its colours shine through.",
)
_SAMPLER = Parameter("sampler", "choice", SAMPLERS[0], choices=SAMPLERS, help="How noise is taken away.")
_IMAGE_GUIDANCE = Parameter(
    "image_guidance", "float", 1.5, 1.0, 10.0, help="How closely the result keeps to the photo."
)


def _guidance(default: float) -> Parameter:
    return Parameter(
        "guidance", "float", default, 1.0, 30.0, help="How closely the words, or the example, are followed."
    )


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of pipeline.

    pipeline      class in diffusers
    side_px       that the networks were trained at
    bytes_per_px  that a step and the decoder take in float32, roughly
    """

    pipeline: str
    side_px: int
    tagline: str
    description: str
    parameters: tuple[Parameter, ...]
    warm_up: Mapping[str, ParamValue]
    bytes_per_px: int
    deadline_s: float


_SLOW = " On a processor a fill takes minutes; the page says how many."

FAMILIES: dict[FamilyName, Family] = {
    "sd": Family(
        pipeline="StableDiffusionInpaintPipeline",
        side_px=512,
        tagline="paints what you say in words; another result for each seed",
        description="Replaces what is marked by what the words ask for, or extends a picture." + _SLOW,
        parameters=(_PROMPT, _NEGATIVE, _STEPS, _guidance(7.5), _STRENGTH, _SAMPLER),
        warm_up={"steps": 1},
        bytes_per_px=4_000,
        deadline_s=3600,
    ),
    "sdxl": Family(
        pipeline="StableDiffusionXLInpaintPipeline",
        side_px=1024,
        tagline="paints what you say in words, finer and slower than the older ones",
        description="Replaces what is marked by what the words ask for, at 1024 pixels."
        + _SLOW.replace("minutes", "long"),
        parameters=(_PROMPT, _NEGATIVE, _STEPS, _guidance(8.0), _STRENGTH, _SAMPLER),
        warm_up={"steps": 1},
        bytes_per_px=4_000,
        deadline_s=4 * 3600,
    ),
    "paint-by-example": Family(
        pipeline="PaintByExamplePipeline",
        side_px=512,
        tagline="paints the thing of another picture into the photo",
        description="Replaces what is marked by something like an example picture; no words." + _SLOW,
        parameters=(_EXAMPLE, _STEPS, _guidance(5.0), _SAMPLER),
        warm_up={"steps": 1},
        bytes_per_px=4_000,
        deadline_s=3600,
    ),
    "instruct-pix2pix": Family(
        pipeline="StableDiffusionInstructPix2PixPipeline",
        side_px=512,
        tagline="changes what is marked as you order in words",
        description="Sees what is marked and changes it as told: other weather, another material." + _SLOW,
        parameters=(_INSTRUCTION, _NEGATIVE, _STEPS, _guidance(7.5), _IMAGE_GUIDANCE, _SAMPLER),
        warm_up={"steps": 1, "prompt": "warm up"},
        bytes_per_px=5_000,
        deadline_s=3600,
    ),
}


def entry_of(
    family: Family,
    *,
    name: str,
    title: str,
    licence: Licence,
    weights: Artifact | tuple[Artifact, ...],
    values: int,
    aliases: tuple[str, ...] = (),
    side_px: int = 0,
    multiple_of: int = 64,
) -> ModelEntry:
    """The entry of a pipeline, which has the name of its repository too.

    values   numbers in all of its networks: four bytes each in float32
    side_px  that its networks were trained at; 0: as usual in the family
    """
    side = side_px or family.side_px
    artifacts = weights if isinstance(weights, tuple) else (weights,)
    repository = artifacts[0].repository if isinstance(artifacts[0], WeightsFolder) else ""
    return ModelEntry(
        name=name,
        title=title,
        tagline=family.tagline,
        description=family.description,
        licence=licence,
        loader="inpaint_models.diffusion.engine:load",
        kind="words",
        weights=artifacts,
        requires=("diffusers", "transformers", "accelerate"),
        extra="diffusion",
        size=SizeRequirement(minimum=side, multiple_of=multiple_of),
        parameters=family.parameters,
        warm_up=family.warm_up,
        strategy=Strategy(kind="crop", crop_above=side, margin_px=side // 4, max_side=side * 3 // 2, context=0.5),
        stochastic=True,
        synthesises=True,
        aliases=(*aliases, repository) if repository else aliases,
        deadline_s=family.deadline_s,
        memory_bytes=4 * values,
        bytes_per_px=family.bytes_per_px,
    )
