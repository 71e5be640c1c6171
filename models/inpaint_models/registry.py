"""What a model is, as data: no network, no torch, nothing that costs time to import."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

from .errors import Unavailable, UnknownParameter
from .parameters import Parameter as Parameter
from .parameters import PictureReader, quoted
from .types import ParamValue

Task = Literal["fill", "select", "find", "matte", "enlarge", "restore"]
"""What a model does: fills a hole, selects a thing, finds things of a sort, tells subject from background, enlarges, or
draws damaged parts anew."""

Gesture = Literal["mark", "trace", "sample", "point"]
"""How a thing is pointed at: by marks over or around it, by points along its outline, by places of its colour, by a
point on it."""

Kind = Literal["", "quick", "natural", "creative", "words"]
"""Under what people look for a model that fills: wires and scratches; almost everything; what has to be invented;
what they say in words. Empty: it is not for everyday photos."""

StrategyKind = Literal["auto", "crop", "resize", "original"]
STRATEGIES: tuple[StrategyKind, ...] = ("auto", "crop", "resize", "original")


@dataclass(frozen=True, slots=True)
class SizeRequirement:
    """Sizes a network accepts; smaller or odd crops are padded by reflection."""

    minimum: int = 1
    multiple_of: int = 1
    square: bool = False

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The smallest (height, width) that is at least the given one and that the network accepts."""
        if self.square:
            height = width = max(height, width)
        up = self.multiple_of
        return math.ceil(max(height, self.minimum) / up) * up, math.ceil(max(width, self.minimum) / up) * up


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file of published weights. Sources are tried in order; the hash decides whether a file is the one.

    sources      https URLs
    size_bytes   checked; None where none was published
    approx_size_bytes  told where the size is unknown: four bytes for each value of the network
    place        where a file lies that its owner named, outside of the model folder
    """

    name: str
    sources: tuple[str, ...]
    size_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    approx_size_bytes: int = 0
    place: Path | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.size_bytes / 2**20:.0f} MiB)" if self.size_bytes else self.name


TensorShapes = Mapping[str, tuple[int, ...]]
"""Key -> shape of the tensors of a network or a file."""


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file of a `WeightsFolder`. Without a published hash it must stay as it is at its first use.

    path  below the folder, with slashes
    """

    path: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class WeightsFolder:
    """Files that belong together in a folder, as a Hugging Face repository holds them at one revision.

    name        of the folder, below the model folder
    repository  "owner/name"; empty for a folder of somebody's own
    revision    of a commit, in full: the same files for ever
    files       what is fetched; the repository may hold more. None named: those of a diffusers pipeline, see
                repositories.py
    approx      bytes of files that are not named
    place       where a folder lies that its owner named, outside of the model folder
    """

    name: str
    repository: str
    revision: str
    files: tuple[FolderFile, ...] = ()
    approx: int = 0
    place: Path | None = None

    @property
    def members(self) -> tuple[WeightsFile, ...]:
        """Its files, named below the model folder."""
        base = f"https://huggingface.co/{self.repository}/resolve/{self.revision}"
        return tuple(
            WeightsFile(
                f"{self.name}/{file.path}",
                (f"{base}/{file.path}",) if self.repository else (),
                file.size_bytes,
                file.sha256,
            )
            for file in self.files
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Where a person finds it."""
        return (f"https://huggingface.co/{self.repository}/tree/{self.revision}",) if self.repository else ()

    @property
    def size_bytes(self) -> int | None:
        """None where the size of one of its files is not known."""
        sizes = [file.size_bytes for file in self.files if file.size_bytes is not None]
        return sum(sizes) if self.files and len(sizes) == len(self.files) else None

    @property
    def approx_size_bytes(self) -> int:
        """Of those files whose size is known."""
        return self.approx or sum(file.size_bytes or 0 for file in self.files)

    def __str__(self) -> str:
        if self.size_bytes:
            return f"the folder {self.name} ({self.size_bytes / 2**20:.0f} MiB)"
        files = f" with {listed([file.path for file in self.files])}" if self.files else ""
        return f"the folder {self.name}{files}"


Artifact = WeightsFile | WeightsFolder
"""Weights as they are published."""


def files_of(artifacts: Iterable[Artifact]) -> tuple[WeightsFile, ...]:
    """All files, those in folders included."""
    return tuple(file for one in artifacts for file in (one.members if isinstance(one, WeightsFolder) else (one,)))


Families = Mapping[str, tuple[str, ...]]
"""Name of a family of networks -> parts of tensor names by which its files are known, the likeliest family first."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Tensors by which a file is known to be a model's.

    networks  key -> shape of each network in the file; each may lie under a prefix of its own
    file      the `WeightsFile.name` of which this is the content, where a model needs several files
    """

    networks: tuple[TensorShapes, ...]
    file: str | None = None


def listed(files: Sequence[Artifact | str]) -> str:
    """Files as a part of a sentence: "a, b (9 MiB) and c"."""
    *others, last = map(str, files)
    return f"{', '.join(others)} and {last}" if others else last


@dataclass(frozen=True, slots=True)
class Licence:
    name: str
    url: str
    commercial_use: bool = True


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a model meets images larger than it likes. Lengths are in image pixels.

    A model that enlarges works in tiles of `max_side`, with `margin_px` of context; the rest is for those that fill.

    crop      boxes around the holes with `margin_px` of context; a box longer than `max_side` is shrunk to it.
              Images with no side over `crop_above` go in whole.
    resize    the whole image, its longer side at most `max_side`
    original  the whole image as it is
    context   further context around a hole, as a multiple of its longer side
    """

    kind: Literal["crop", "resize", "original"] = "crop"
    crop_above: int = 800
    margin_px: int = 196
    max_side: int = 2048
    context: float = 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """How models that are larger than a GPU's memory are spread. Models of which nothing is spread ignore it.

    cpu_offload          parts wait in the machine's memory and go to the GPU when it is their turn
    text_encoder_on_cpu  words are read on the processor
    """

    cpu_offload: bool = False
    text_encoder_on_cpu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadContext:
    """What a loader gets.

    device     "cpu", "cuda", "cuda:1" or "mps"; already chosen
    precision  "auto", "float32", "bfloat16" or "float16"
    weights    a verified file or folder for each `Artifact.name` of the entry, or of one of its alternative sets
    model_dir  keeps safetensors copies of checkpoints in other forms; None keeps none
    families   what a file of another model may be, for the message that refuses it
    """

    entry: ModelEntry
    device: str = "cpu"
    precision: str = "auto"
    weights: Mapping[str, Path] = field(default_factory=dict)
    model_dir: Path | None = None
    families: Families = field(default_factory=dict)
    placement: Placement = Placement()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A row of the catalogue.

    loader        "module:function" of a `Callable[[LoadContext], engine]`; imported only when the model is loaded
    kind          under what people look for it
    task          which of the protocols of protocols.py the engine has
    layouts       "module:function" of a `Callable[[], Sequence[Layout]]`, imported lazily too: what its files may hold,
                  the best first. Every entry has one whose weights are files that `convert` takes
    telltales     parts of tensor names by which files of this network are known, whatever their size or version
    weights       every file and folder that is needed; `alternatives` are other complete sets that serve as well
    requires      importable packages without which the model is unavailable
    extra         of lama-server, which installs them
    broken        why the package that ships the model could not be used, in a sentence
    warm_up       parameters of the cheapest fill that runs all of the network's code; the others keep their defaults
    stochastic    whether another seed gives another result
    pads_itself   name of a switch with which it takes crops of any size over the minimum, and pads them in its own way
    synthesises   whether it makes pixels of its own, which lack the photo's grain and may miss its colour; a fill is
                  finished then, see finish/
    needs_known   whether it copies from the picture, and so cannot fill an image without known pixels
    gesture       of a model that selects; the engine of one with "point" is a `ProposingEngine`, and looks at a view
    source_control  whether it can be told where to copy from: its engine is a `CopyingEngine`
    reach_px      how far it continues a picture beyond its edge at once; what lies further out is filled after that
    grow_px       default growth of a mask that a person painted; masks given as pictures are exact
    deadline_s    how long a fill may take; 0: as long as of any network
    memory_bytes  what the loaded model occupies, roughly; the worker's budget counts with it
    bytes_per_px  what the work occupies at its peak for each pixel that the network sees; 0 = not worth counting
    """

    name: str
    title: str
    tagline: str
    description: str
    licence: Licence
    loader: str
    kind: Kind = ""
    task: Task = "fill"
    layouts: str = ""
    telltales: tuple[str, ...] = ()
    weights: tuple[Artifact, ...] = ()
    alternatives: tuple[tuple[Artifact, ...], ...] = ()
    requires: tuple[str, ...] = ()
    extra: str = ""
    broken: str = ""
    size: SizeRequirement = SizeRequirement()
    parameters: tuple[Parameter, ...] = ()
    warm_up: Mapping[str, ParamValue] = field(default_factory=dict)
    strategy: Strategy = Strategy()
    stochastic: bool = False
    aliases: tuple[str, ...] = ()
    pads_itself: str = ""
    synthesises: bool = False
    needs_known: bool = False
    gesture: Gesture = "mark"
    source_control: bool = False
    reach_px: int = 512
    grow_px: int = 0
    deadline_s: float = 0
    memory_bytes: int = 0
    bytes_per_px: int = 0

    @property
    def download_bytes(self) -> int:
        """What all files have together, as far as it is known."""
        return sum(file.size_bytes or file.approx_size_bytes for file in self.weights)

    @property
    def sizes_are_known(self) -> bool:
        """Whether `download_bytes` is more than an estimate."""
        return all(file.size_bytes is not None for file in self.weights)

    @property
    def published_sums(self) -> frozenset[str]:
        """Hashes of the files that were published: SHA-256, or MD5 where nothing better is known."""
        files = files_of(artifact for artifacts in (self.weights, *self.alternatives) for artifact in artifacts)
        return frozenset(published for file in files if (published := file.sha256 or file.md5))

    def check_params(self, given: Mapping[str, object] | None) -> dict[str, ParamValue]:
        """All parameters with their values or defaults; pictures only where given. Raises `InvalidParameter`."""
        checked = {name: self._parameter(name).checked(value) for name, value in (given or {}).items()}
        defaults = {p.name: p.checked(p.default) for p in self.parameters if p.default is not None}
        return defaults | checked

    def size_for(self, params: Mapping[str, ParamValue]) -> SizeRequirement:
        """The crops that a fill with these parameters takes."""
        return SizeRequirement(self.size.minimum) if params.get(self.pads_itself) else self.size

    def params_from_text(
        self, given: Mapping[str, str], open_picture: PictureReader | None = None
    ) -> dict[str, ParamValue]:
        """The values of what a command line gives, see `Parameter.from_text`. Raises `InvalidParameter`."""
        return {name: self._parameter(name).from_text(text, open_picture) for name, text in given.items()}

    def _parameter(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        names = ", ".join(parameter.name for parameter in self.parameters)
        choices = f"It has: {names}." if names else "It has none."
        raise UnknownParameter(name, f"{self.name} has no parameter {quoted(name)}. {choices}")

    def missing_packages(self) -> tuple[str, ...]:
        return tuple(package for package in self.requires if importlib.util.find_spec(package) is None)

    @property
    def hindrance(self) -> str:
        """Why the model cannot run here, in a sentence; empty when it can."""
        if self.broken:
            return self.broken
        missing = self.missing_packages()
        wanted = f"'lama-server[{self.extra}]'" if self.extra else " ".join(missing)
        return f"{self.title} needs {', '.join(missing)}. Install it: pip install {wanted}" if missing else ""

    def load(self, context: LoadContext) -> Any:
        """Imports the network's code and builds the engine, one of the task's protocol."""
        if hindrance := self.hindrance:
            raise Unavailable(hindrance)
        return resolve_name(self.loader)(context)

    def known_layouts(self) -> tuple[Layout, ...]:
        """What the model's files may hold, the best first; imports the network's code."""
        layouts: Callable[[], Sequence[Layout]] = resolve_name(self.layouts)
        return tuple(layouts())
