"""From a folder or a file to a pipeline of diffusers on its device. Opens no connection and reads no pickle."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import nn

from .. import devices
from ..errors import WeightsCorrupted
from ..registry import LoadContext
from .configurations import write_configurations
from .families import FAMILIES
from .memory import Free, Spread, spread
from .recognise import VOCABULARY, Recognised, recognise, shapes_in

_LOG = logging.getLogger(__name__)

_WITHOUT_CHECKER = {"safety_checker": None, "requires_safety_checker": False}
"""The network that blackens pictures it takes for nudes is never loaded."""


def load_pipeline(context: LoadContext, dtype: torch.dtype) -> tuple[Any, Spread]:
    """(the pipeline in that precision and on its device, how it is spread).

    Raises `WeightsCorrupted`, `UnsafeWeights`, and `OutOfMemory` before anything is read that would not fit.
    """
    place = next(path for name, path in context.weights.items() if name != VOCABULARY.name)
    found = recognise(place)
    family = FAMILIES[found.family]
    if family.parameters != context.entry.parameters:
        raise WeightsCorrupted(f"{place.name} holds a {family.pipeline}, which is not what {context.entry.title} is.")
    way = _planned(context, found, dtype)
    with _quiet(), _as_weights_errors(place.name):
        kind = getattr(diffusers, family.pipeline)
        extras = {} if found.family == "sdxl" else _WITHOUT_CHECKER
        if place.is_dir():
            half = any(".fp16" in path.name for path in place.glob("unet/*.safetensors"))
            options = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
            options |= {"variant": "fp16"} if half else {}
            by_example = found.family == "paint-by-example"
            pipeline = (
                _by_example(kind, place, options) if by_example else kind.from_pretrained(place, **options, **extras)
            )
        else:
            pipeline = _from_file(kind, place, found, context.weights[VOCABULARY.name], dtype, extras)
        pipeline.set_progress_bar_config(disable=True)
        _put(pipeline, context, way)
    return pipeline, way


def _by_example(kind: Any, place: Path, options: dict[str, Any]) -> Any:
    """Part by part: the folder as published names the image encoder in a way that diffusers no longer understands."""
    from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder

    return kind(
        vae=diffusers.AutoencoderKL.from_pretrained(place / "vae", **options),
        image_encoder=PaintByExampleImageEncoder.from_pretrained(place / "image_encoder", **options),
        unet=diffusers.UNet2DConditionModel.from_pretrained(place / "unet", **options),
        scheduler=diffusers.PNDMScheduler.from_pretrained(place / "scheduler", local_files_only=True),
        feature_extractor=transformers.CLIPImageProcessorPil.from_pretrained(
            place / "feature_extractor", local_files_only=True
        ),
        **_WITHOUT_CHECKER,
    )


def _from_file(
    kind: Any, place: Path, found: Recognised, vocabulary: Path, dtype: torch.dtype, extras: Mapping[str, object]
) -> Any:
    with tempfile.TemporaryDirectory(prefix="lama-server-") as folder:
        write_configurations(shapes_in(place), found, vocabulary, Path(folder))
        return kind.from_single_file(str(place), config=folder, dtype=dtype, local_files_only=True, **extras)


def _planned(context: LoadContext, found: Recognised, dtype: torch.dtype) -> Spread:
    """By the share that each network has of a pipeline of this family, roughly."""
    bytes_each = torch.finfo(dtype).bits // 8
    total = found.values * bytes_each
    parts = {"unet": round(0.74 * total), "text_encoder": round(0.2 * total), "vae": round(0.06 * total)}
    work = context.entry.bytes_per_px * bytes_each // 4 * found.side_px**2
    on_gpu = context.device.startswith("cuda")
    free = Free(devices.free_bytes("cpu"), devices.free_bytes(context.device) if on_gpu else None)
    return spread(context.entry.title, parts, work, free, context.placement)


def _put(pipeline: Any, context: LoadContext, way: Spread) -> None:
    device = torch.device(context.device)
    if way == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif way == "group":
        pipeline.enable_group_offload(device, offload_type="block_level", num_blocks_per_group=1)
    elif way == "sequential":
        pipeline.enable_group_offload(device, offload_type="leaf_level")
    else:
        words_on_cpu = context.placement.text_encoder_on_cpu and device.type != "cpu"
        for name, part in pipeline.components.items():
            if isinstance(part, nn.Module) and words_on_cpu and "text_encoder" in name:
                _keep_on_cpu(part)
            elif isinstance(part, nn.Module):
                part.to(device)
    _LOG.info("%s is %s on %s.", context.entry.name, way, device)


def _keep_on_cpu(network: nn.Module) -> None:
    """What goes into it comes to the processor, and what it says goes back to where that was."""
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module

    add_hook_to_module(network, AlignDevicesHook(execution_device="cpu", io_same_device=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Both libraries write to the terminal whatever comes to their mind."""
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _as_weights_errors(name: str) -> Iterator[None]:
    """Files that do not fit together, in one sentence; memory errors are told by others."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise WeightsCorrupted(f"{name} cannot be loaded ({said}). Download it again.") from error
