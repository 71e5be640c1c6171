"""What crosses the pipe between the web process and a worker. Small records only: stored pixels stay in files.

A worker gets `Submit`s and answers each with any number of `JobEvent`s and then exactly one `Done` or `Failed` that
carries the number of its `Submit`. A worker starts with one `Started`.

A new kind of request is a class here, in the union of its worker (`CodecRequest` or `AnyJob`), and a case in that
worker's `handle`: mypy names what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from inpaint_models.options import FillOptions
from inpaint_models.protocols import Polygon, Prompts
from inpaint_models.registry import ModelEntry, Placement
from inpaint_models.types import Box, ParamValue, PixelSource

from ..codec import ImageInfo, Metadata, Pixels
from ..errors import ApiError
from ..imaging.brush_masks import Operation
from ..imaging.pictures import Picture
from ..schemas.shapes import Shape

KindT = TypeVar("KindT")
AnswerT = TypeVar("AnswerT")
RequestT = TypeVar("RequestT")


class Codec:
    """The kind of worker that turns image files into arrays and back."""


class Engine:
    """The kind of worker that holds models."""


class Request(Generic[KindT, AnswerT]):
    """What a kind of worker can be asked for, with the type of its answer."""

    __slots__ = ()


# Requests to the codec worker


@dataclass(frozen=True, slots=True)
class DecodeImage(Request[Codec, ImageInfo]):
    """Check and decode the file `source`, write the pixels to `pixels` as .npy. Answer: `ImageInfo`.

    durable  as of `write_pixels`
    """

    source: Path
    pixels: Path
    durable: bool = True


@dataclass(frozen=True, slots=True)
class DecodeMask(Request[Codec, None]):
    """Decode the mask file `source`, write it as (H, W) uint8 0|255 to `mask`. Answer: None.

    The size is compared with (width, height) on the header, before anything is decoded.
    """

    source: Path
    mask: Path
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class RenderImage(Request[Codec, "Rendered"]):
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
class MakePreview(Request[Codec, "Rendered"]):
    """A small PNG or JPEG of the picture, for browsers that cannot decode the file. Answer: `Rendered`."""

    picture: Picture
    max_side: int
    target: Path


@dataclass(frozen=True, slots=True)
class CropPicture(Request[Codec, None]):
    """A part of the composed picture as a patch: a lossless PNG in the file `target`. Answer: None."""

    picture: Picture
    box: Box
    target: Path


@dataclass(frozen=True, slots=True)
class ScalePicture(Request[Codec, None]):
    """Bring the composed picture to another size and write its pixels to the file `target` as .npy. Answer: None."""

    picture: Picture
    width: int
    height: int
    target: Path


@dataclass(frozen=True, slots=True)
class AdjustMask(Request[Codec, None]):
    """Change the mask file `source` and write it to the file `target` as a PNG in the brush's colour. Answer: None."""

    source: Path
    operation: Operation
    radius_px: int
    target: Path


@dataclass(frozen=True, slots=True)
class MaskOfAlpha(Request[Codec, None]):
    """As `AdjustMask`, of the opaque pixels of a picture with alpha, grown. Answer: None."""

    picture: Picture
    radius_px: int
    target: Path


@dataclass(frozen=True, slots=True)
class MakeThumbnail(Request[Codec, "Rendered"]):
    """The file `source` as a small PNG or JPEG, as wide or, where that is 0, as high as asked. Answer: `Rendered`."""

    source: Path
    width: int
    height: int
    target: Path


CodecRequest = (
    DecodeImage
    | DecodeMask
    | RenderImage
    | MakePreview
    | CropPicture
    | ScalePicture
    | AdjustMask
    | MaskOfAlpha
    | MakeThumbnail
)

# Jobs: what an executor can be asked to do with a model. No local path, no device: they could run on another machine.


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model, in which number format."""

    entry: ModelEntry
    precision: str = "auto"


@dataclass(frozen=True, slots=True)
class Job(Generic[AnswerT]):
    """Work for a model, with the type of its answer."""

    model: ModelChoice


@dataclass(frozen=True, slots=True)
class LoadModel(Job["LoadedModels"]):
    """Load and warm up a model, so that the first job does not wait for it."""


DrawnMask = tuple[Shape, ...] | PixelSource


@dataclass(frozen=True, slots=True)
class DrawnSource:
    """`SourceControl` as somebody drew it: what marks nothing is as good as None."""

    include: DrawnMask | None = None
    exclude: DrawnMask | None = None


@dataclass(frozen=True, slots=True)
class FillHole(Job["Filled"]):
    """Fill a hole.

    image     (H, W, 3|4) uint8 or uint16: anything that can be pickled and slices like an array
    mask      the mask as drawn, or (H, W) uint8 0|255
    source    where to copy from
    metadata  reads what the patches are to carry of the photo's file, where the job runs
    preview   whether estimates and finished patches are wanted while the job runs
    pictures  the model's parameters of kind picture; `options` has the others
    quick     a model whose answer is shown while this one works, where it is loaded and this one takes long
    """

    image: PixelSource
    mask: DrawnMask
    options: FillOptions
    metadata: Callable[[], Metadata] | None = None
    preview: bool = False
    pictures: Mapping[str, PixelSource] = field(default_factory=dict)
    quick: ModelEntry | None = None
    source: DrawnSource = DrawnSource()


@dataclass(frozen=True, slots=True)
class SelectMask(Job["Selected"]):
    """Select a thing.

    image_name  the same for the same pixels: what a model keeps of an image is found by it
    whole       whether the mask is wanted at the image's size, and not in a box
    shadow      whether the shadow of the thing is wanted too
    outline     whether its outline is wanted while the job runs
    view        the part of the image in which the thing is pointed at, for models that look at one
    most        how many things that the prompts may mean are wanted at most
    """

    image: PixelSource
    image_name: str
    prompts: Prompts
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    pictures: Mapping[str, PixelSource] = field(default_factory=dict)
    whole: bool = False
    shadow: bool = False
    outline: bool = False
    view: Box | None = None
    most: int = 1


@dataclass(frozen=True, slots=True)
class FindThings(Job["Found"]):
    """Find all things of a sort. `most`: how many are wanted at most, the surest."""

    image: PixelSource
    most: int
    params: Mapping[str, ParamValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemakeCanvas(Job["Remade"]):
    """Make all pixels anew: without the background, or larger.

    write  puts the pixels, (H, W, 3|4), where whoever asked finds them; called where the job runs
    """

    image: PixelSource
    write: Callable[[Pixels], None]
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    pictures: Mapping[str, PixelSource] = field(default_factory=dict)


AnyJob = LoadModel | FillHole | SelectMask | FindThings | RemakeCanvas

# Requests to the engine worker


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which model, and how it is to run on this machine.

    model_dir  keeps safetensors copies of weights in other forms; None keeps none
    """

    entry: ModelEntry
    device: str
    precision: str
    weights: Mapping[str, Path] = field(default_factory=dict)
    model_dir: Path | None = None
    placement: Placement = field(default_factory=Placement)


@dataclass(frozen=True, slots=True)
class RunJob(Request[Engine, AnswerT]):
    """A job with what it needs of this machine. Answer: the job's."""

    job: AnyJob
    choice: EngineChoice


# Answers


@dataclass(frozen=True, slots=True)
class Rendered:
    """An encoded file at the target that the request named; `patched` and `reencoded` as `codec.Encoded` has them."""

    media_type: str
    suffix: str
    size_bytes: int
    patched: bool = False
    reencoded: str = ""


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
class MaskPicture:
    """A mask in its box: a PNG, white inside."""

    png: bytes
    box: Box


@dataclass(frozen=True, slots=True)
class Proposed:
    """As `Candidate` of the library, with its mask as a picture."""

    mask: MaskPicture
    score: float


@dataclass(frozen=True, slots=True)
class Selected:
    """What the prompts may mean, the likeliest first. `shadow`: of that one; None where none was asked for or seen."""

    candidates: tuple[Proposed, ...]
    shadow: MaskPicture | None
    load_ms: float

    @property
    def mask(self) -> MaskPicture:
        return self.candidates[0].mask


@dataclass(frozen=True, slots=True)
class FoundThing:
    """As `Finding` of the library, with its mask as a picture."""

    category: str
    score: float
    mask: MaskPicture


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, the surest first; `left_out` counts those that were too many."""

    things: tuple[FoundThing, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Remade:
    """What was written."""

    width: int
    height: int
    has_alpha: bool
    load_ms: float


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """Names of the models that the worker holds now, least recently used first."""

    loaded: tuple[str, ...]


# Envelope


@dataclass(frozen=True, slots=True)
class Submit(Generic[RequestT]):
    """A request under a number that no other request of this worker process has."""

    number: int
    request: RequestT


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
class OutlineReport:
    """The outline of what is selected, while its mask is made."""

    number: int
    outline: Polygon


@dataclass(frozen=True, slots=True)
class PatchReport:
    """A finished patch of a fill that goes on: the patch `index` of `of`, as it will be in `Filled`."""

    number: int
    index: int
    of: int
    patch: FilledPatch


@dataclass(frozen=True, slots=True)
class LoadedModelsReport:
    """The worker loaded or dropped a model."""

    number: int
    loaded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to a request, of the type that the request says."""

    number: int
    value: object


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a job has no answer. `trace` is for the log only."""

    number: int
    error: ApiError
    trace: str = ""


JobEvent = ProgressReport | PreviewReport | OutlineReport | PatchReport
WorkerEvent = JobEvent | LoadedModelsReport
FromWorker = Started | WorkerEvent | Done | Failed
