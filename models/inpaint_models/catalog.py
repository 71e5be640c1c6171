"""The one list of models, in the order in which they are shown."""

from __future__ import annotations

from pkgutil import resolve_name

from .errors import UnknownModel
from .registry import Families, ModelEntry

_OWN = (
    "patchmatch:ENTRY",
    "opencv:ENTRY",
    "lama:LAMA",
    "lama:ANIME_LAMA",
    "mat:ENTRY",
    "ldm:ENTRY",
)
"""Where each model's entry is, as "folder:name": adding a model is adding a line here."""

ENTRIES: tuple[ModelEntry, ...] = tuple(resolve_name(f"{__package__}.{place}") for place in _OWN)

_OTHER_FAMILIES: Families = {
    "Stable Diffusion's text encoder": ("text_model.encoder.", "cond_stage_model.transformer."),
    "a diffusers UNet": ("down_blocks.", "mid_block."),
    "FcF": ("synthesis.b4.", "encoder.b4."),
    "MI-GAN": ("synthesis.b512.", "separable"),
    "the ZITS transformer": ("pos_emb", "blocks.0.attn."),
    "an image classifier": ("layer1.0.conv1.", "fc.weight"),
}
"""Networks that are no model of ours, and whose files people mistake for one."""


def list_models() -> tuple[ModelEntry, ...]:
    """Every model, in the order in which they are shown."""
    return ENTRIES


def get_model(name: str) -> ModelEntry:
    """The entry of that name or alias. Raises `UnknownModel`."""
    for entry in ENTRIES:
        if name == entry.name or name in entry.aliases:
            return entry
    raise UnknownModel(f"There is no model {name[:60]!r}. There are: {', '.join(entry.name for entry in ENTRIES)}.")


def families() -> Families:
    """What a file of weights may be, by parts of its tensors' names: our models first, then what it may be besides."""
    return {entry.title: entry.telltales for entry in list_models() if entry.telltales} | dict(_OTHER_FAMILIES)
