"""What crosses the pipe between the web process and a worker. Small records only: pixels stay in files.

A worker gets `Submit`s and answers each with any number of `ProgressReport`s and `PreviewReport`s and then exactly one
`Done` or `Failed` that carries the number of its `Submit`. A worker starts with one `Started`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from inpaint_models.options import FillOptions
from inpaint_models.registry import ModelEntry
from inpaint_models.types import Box

from ..codec import ImageInfo
from ..errors import ApiError
from ..imaging.pictures import Picture
from ..schemas.shapes import Shape

# Requests to the codec worker


@dataclass(frozen=True, slots=True)
class DecodeImage:
    """Check and decode the file `source`, write the pixels to `pixels` as .npy. Answer: `ImageFacts`."""

    source: Path
    pixels: Path


@dataclass(frozen=True, slots=True)
class DecodeMask:
    """Decode the mask file `source`, write it as (H, W) uint8 0|255 to `mask`. Answer: None.

    The size is compared with (width, height) on the header, before anything is decoded.
    """

    source: Path
    mask: Path
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class RenderImage:
    """Compose the picture and encode it to the file `target`. Answer: `Rendered`.

    format   "keep" or a format name
    quality  1 to 100, None for the source's own or the default
    """

    picture: Picture
    format: Literal["keep", "png", "jpeg", "webp", "tiff"]
    quality: int | None
    strip_metadata: bool
    target: Path


@dataclass(frozen=True, slots=True)
class MakePreview:
    """A small PNG or JPEG of the picture, for browsers that cannot decode the file. Answer: `Rendered`."""

    picture: Picture
    max_side: int
    target: Path


@dataclass(frozen=True, slots=True)
class CropPicture:
    """A part of the composed picture as a patch: a lossless PNG in the file `target`. Answer: None."""

    picture: Picture
    box: Box
    target: Path


@dataclass(frozen=True, slots=True)
class ScalePicture:
    """Bring the composed picture to another size and write its pixels to the file `target` as .npy. Answer: None."""

    picture: Picture
    width: int
    height: int
    target: Path


# Requests to the engine worker


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which model, and how it is to run.

    model_dir  keeps safetensors copies of weights in other forms; None keeps none
    """

    entry: ModelEntry
    device: str
    precision: str
    weights: Mapping[str, Path] = field(default_factory=dict)
    model_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadEngine:
    """Load and warm up a model. Answer: `LoadedModels`."""

    choice: EngineChoice


@dataclass(frozen=True, slots=True)
class FillHole:
    """Fill a hole. Answer: `Filled`.

    shapes    the mask as drawn; empty when `mask` names a raster
    mask      .npy file, (H, W) uint8 0|255
    preview   whether estimates are wanted while the job runs
    """

    choice: EngineChoice
    picture: Picture
    shapes: tuple[Shape, ...]
    mask: Path | None
    options: FillOptions
    preview: bool = False


# Answers


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the decoder found."""

    info: ImageInfo


@dataclass(frozen=True, slots=True)
class Rendered:
    """An encoded file at the target that the request named."""

    media_type: str
    suffix: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FilledPatch:
    """A finished patch, already blended; `png` is lossless and at the image's own depth."""

    png: bytes
    box: Box


@dataclass(frozen=True, slots=True)
class Filled:
    """What a fill changed: patches whose boxes do not overlap, one for each connected region of the mask."""

    patches: tuple[FilledPatch, ...]
    strategy: str
    load_ms: float
    fill_ms: float


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """Names of the models that the worker holds now, least recently used first."""

    loaded: tuple[str, ...]


# Envelope


@dataclass(frozen=True, slots=True)
class Submit:
    """A request under a number that no other request of this worker process has."""

    number: int
    request: Any


@dataclass(frozen=True, slots=True)
class Started:
    """The worker can take requests. `device` is what networks will run on, "" where none do."""

    pid: int
    device: str = ""


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """How far a job is: `step` of `total` in `stage`."""

    number: int
    stage: str
    step: int
    total: int


@dataclass(frozen=True, slots=True)
class PreviewReport:
    """An estimate of a patch while its job runs, as an encoded picture."""

    number: int
    image: bytes
    media_type: str
    box: Box


@dataclass(frozen=True, slots=True)
class LoadedModelsReport:
    """The worker loaded or dropped a model."""

    number: int
    loaded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """A job's answer."""

    number: int
    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a job has no answer. `trace` is for the log only."""

    number: int
    error: ApiError
    trace: str = ""


JobEvent = ProgressReport | PreviewReport | LoadedModelsReport
FromWorker = Started | JobEvent | Done | Failed
