"""Which pipeline a folder or a file holds, told from its JSON or from the names and shapes of its tensors. No torch."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UnsafeWeights, WeightsCorrupted
from ..folders import hub_cache_dirs
from ..registry import FolderFile, Licence, ModelEntry, TensorShapes, WeightsFile, WeightsFolder
from ..repositories import INDEX, is_half, with_files
from ..weights.formats import MAX_HEADER_BYTES, format_of
from .families import FAMILIES, FamilyName, entry_of

UNET = "model.diffusion_model."
"""What the names of the U-Net's tensors begin with in a single file."""

VOCABULARY = WeightsFolder(
    "clip-vocabulary",
    "openai/clip-vit-large-patch14",
    "32bd64288804d66eefd0ccbe215aa642df71cc41",
    (FolderFile("vocab.json"), FolderFile("merges.txt")),
)
"""Words and numbers of the text encoders, which single files lack."""

_FAMILY_OF: dict[str, FamilyName] = {
    "StableDiffusionPipeline": "sd",
    "StableDiffusionInpaintPipeline": "sd",
    "StableDiffusionImg2ImgPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLInpaintPipeline": "sdxl",
    "StableDiffusionXLImg2ImgPipeline": "sdxl",
    "PaintByExamplePipeline": "paint-by-example",
    "StableDiffusionInstructPix2PixPipeline": "instruct-pix2pix",
}
_LIBRARIES = ("diffusers", "transformers", "paint_by_example", "stable_diffusion")
"""Where parts of a pipeline may come from: a folder names the Python modules that are imported for it."""

_PIPELINE_PX = 8
"""Of which diffusers wants the sides to be multiples, whatever the networks need."""

_UNKNOWN_LICENCE = Licence("as its author says", "https://huggingface.co/models")


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was found.

    side_px      that its networks were trained at
    multiple_of  of which the sides of crops have to be multiples
    values       numbers in all networks, roughly
    """

    family: FamilyName
    side_px: int
    multiple_of: int
    values: int


def recognise(place: Path) -> Recognised:
    """Raises `WeightsCorrupted` for what is no pipeline of a known kind, `UnsafeWeights` for a pickle."""
    return _of_folder(place) if place.is_dir() else _of_file(place)


def entry_for(place: Path, model_dir: Path) -> ModelEntry:
    """The entry of a folder or file that somebody put into the model folder, or named. Raises as `recognise`."""
    found, name = recognise(place), re.sub(r"[^a-z0-9]+", "-", place.stem.lower()).strip("-") or "diffusion"
    own = place.parent == model_dir
    repository = place.name.replace("--", "/", 1) if own and "--" in place.name and place.is_dir() else ""
    weights: tuple[WeightsFolder | WeightsFile, ...]
    if place.is_dir():
        weights = (WeightsFolder(place.name, repository, "main", place=None if own else place),)
    else:
        weights = (WeightsFile(place.name, (), place=place), _vocabulary(model_dir))
    return entry_of(
        FAMILIES[found.family],
        name=name,
        title=place.stem.replace("--", "/"),
        licence=_UNKNOWN_LICENCE,
        weights=weights,
        values=found.values,
        side_px=found.side_px,
        multiple_of=found.multiple_of,
    )


def _vocabulary(model_dir: Path) -> WeightsFolder:
    """As another pipeline on this machine has it, for all Stable Diffusions have the same; else to be fetched."""
    if not (model_dir / VOCABULARY.name).is_dir():
        cached = [found for cache in hub_cache_dirs() for found in cache.glob(f"models--*/snapshots/*/{INDEX}")]
        for index in sorted(model_dir.glob(f"*/{INDEX}")) + sorted(cached):
            words = index.parent / "tokenizer"
            if all((words / file.path).is_file() for file in VOCABULARY.files) and _is_known(index):
                return replace(VOCABULARY, place=words)
    return VOCABULARY


def _is_known(index: Path) -> bool:
    with suppress(WeightsCorrupted):
        return _json(index).get("_class_name") in _FAMILY_OF
    return False


def _of_folder(folder: Path) -> Recognised:
    index, unet, vae = (_json(folder / part) for part in (INDEX, "unet/config.json", "vae/config.json"))
    kind = str(index.get("_class_name"))
    family = _FAMILY_OF.get(kind)
    if family is None:
        raise WeightsCorrupted(
            f"{folder.name} is a {kind[:60]}, which cannot be used. There are: {', '.join(_FAMILY_OF)}."
        )
    for part, source in index.items():
        if isinstance(source, list) and source[0] not in (*_LIBRARIES, None):
            raise UnsafeWeights(f"{folder.name} takes its {part} from the Python module {source[0]!r}. Refused.")
    if family == "sd" and unet.get("in_channels") == 8:
        family = "instruct-pix2pix"
    factor = 2 ** (len(vae.get("block_out_channels", ())) - 1)
    levels = len(unet.get("block_out_channels", ()))
    side_px = _whole(unet.get("sample_size")) * factor
    return Recognised(family, side_px, max(_PIPELINE_PX, factor * 2 ** max(0, levels - 1)), _values_in(folder))


def _values_in(folder: Path) -> int:
    """Numbers in its networks, by the sizes of files that are there or listed."""
    files = with_files(WeightsFolder(folder.name, "", "", place=folder), folder.parent).files
    weights = [file for file in files if file.path.endswith(".safetensors")]
    sizes = [file.size_bytes or (folder / file.path).stat().st_size for file in weights]
    return sum(sizes) // (2 if any(is_half(file.path) for file in weights) else 4)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsCorrupted(f"{path.parent.name}/{path.name} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise WeightsCorrupted(f"{path.parent.name}/{path.name} is no description of a model.")
    return found


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 64


def _of_file(path: Path) -> Recognised:
    shapes = shapes_in(path)
    first, words = shapes.get(f"{UNET}input_blocks.0.0.weight"), shapes.get(_words_key(shapes))
    if first is None or words is None or "first_stage_model.decoder.conv_in.weight" not in shapes:
        raise WeightsCorrupted(f"{path.name} holds no whole Stable Diffusion: U-Net, autoencoder and text encoder.")
    family: FamilyName = "sdxl" if f"{UNET}label_emb.0.0.weight" in shapes else "sd"
    if first[1] == 8:
        family = "instruct-pix2pix"
    levels = 1 + sum(bool(re.fullmatch(rf"{re.escape(UNET)}input_blocks\.\d+\.0\.op\.weight", key)) for key in shapes)
    factor = 2 ** sum(
        bool(re.fullmatch(r"first_stage_model\.encoder\.down\.\d+\.downsample\.conv\.weight", key)) for key in shapes
    )
    values = sum(math.prod(shape) for key, shape in shapes.items() if not key.startswith("model_ema."))
    multiple_of = max(_PIPELINE_PX, factor * 2 ** (levels - 1))
    return Recognised(family, FAMILIES[family].side_px * factor // 8, multiple_of, values)


def _words_key(shapes: TensorShapes) -> str:
    """The vectors of the vocabulary, in whichever of the forms of text encoders."""
    ends = ("embeddings.token_embedding.weight", "model.token_embedding.weight")
    return next((key for key in shapes if key.endswith(ends)), "")


def shapes_in(path: Path) -> TensorShapes:
    """Key -> shape of everything in a safetensors file. Raises `UnsafeWeights` for other forms, `WeightsCorrupted`."""
    try:
        with path.open("rb") as handle:
            if format_of(handle, path.name) != "safetensors":
                raise UnsafeWeights(f"{path.name} is a pickle, which can carry code. Only .safetensors files are read.")
            length = min(int.from_bytes(handle.read(8), "little"), MAX_HEADER_BYTES)
            header = json.loads(handle.read(length))
        return {key: tuple(row["shape"]) for key, row in header.items() if key != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsCorrupted(f"{path.name} cannot be read: {error}.") from error
