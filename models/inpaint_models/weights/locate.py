"""Finding a model's files: in the model folder, where IOPaint and torch.hub left them, in Hugging Face's cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import UnsafeWeights, WeightsCorrupted, WeightsError, WeightsMissing
from ..folders import default_model_dir, hub_cache_dirs, in_hub_cache, torch_hub_dirs
from ..registry import Artifact, ModelEntry, WeightsFile, WeightsFolder, listed
from ..repositories import INDEX, with_files
from .formats import ONNX, SUFFIXES, check_content
from .hash_cache import HashCache, Listener, Row

Check = Literal["cached", "new", "all"]
"""What to hash: nothing, what has not been hashed since it changed, or everything."""

Status = Literal["ready", "unverified", "missing", "corrupted", "unsafe"]

Proof = Literal["sha256", "md5", "first-use"]
"""Why a file is believed: a published sum, or, where there is none, that it has not changed since its first use."""


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a model.

    status  "unverified" = there, of the right size and form, but not hashed yet; "unsafe" = of a form that could
            carry code
    path    where it lies; None when it is missing
    note    a sentence for people: what is wrong, or on what the proof rests
    """

    file: WeightsFile
    status: Status
    path: Path | None = None
    proof: Proof | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one complete set, the entry's own or an alternative."""

    entry: ModelEntry
    model_dir: Path
    files: tuple[FileState, ...]

    @property
    def status(self) -> Status:
        """The worst of its files; "ready" for a model that needs none."""
        return min((state.status for state in self.files), key=_WORST_FIRST.index, default="ready")

    @property
    def paths(self) -> dict[str, Path]:
        """Artifact's name -> path, of the files and folders that are there and not known to be bad."""
        found: dict[str, Path | None] = {}
        for state in self.files:
            artifact, _, inside = state.file.name.partition("/")
            path = state.path if state.status in _USABLE else None
            if path is not None and inside:
                path = path.parents[inside.count("/")]
            found[artifact] = path if found.get(artifact, path) == path else None
        return {artifact: path for artifact, path in found.items() if path is not None}

    def require_ready(self, *, offline: bool = False) -> dict[str, Path]:
        """The paths. Raises `WeightsMissing`, `WeightsCorrupted` or `UnsafeWeights` with what `explain` says."""
        if self.status in _USABLE:
            return self.paths
        raise _ERRORS[self.status](self.explain(offline=offline))

    def explain(self, *, offline: bool = False, folder: Path | None = None) -> str:
        """What is wrong and what to do about it, in a sentence or two; empty when all is well.

        offline  nothing may be downloaded now
        folder   named as the place for files, for a reader at this machine; None names no path
        """
        wrong = self._wrong()
        if not wrong:
            return ""
        names, one = listed(wrong), len(wrong) == 1
        advice = self._advice(wrong, offline=offline, folder=folder)
        refused = [state.note for state in self.files if state.status in ("corrupted", "unsafe")]
        if refused:
            return f"{' '.join(refused)} For {names}: {advice}."
        return f"{self.entry.title} needs {names}, which {'is' if one else 'are'} not on this machine: {advice}."

    def _wrong(self) -> list[Artifact]:
        """The files and folders of which something is missing or damaged."""
        bad = {state.file.name.partition("/")[0] for state in self.files if state.status not in _USABLE}
        sets = (self.entry.weights, *self.entry.alternatives)
        return [artifact for artifact in dict.fromkeys(one for ones in sets for one in ones) if artifact.name in bad]

    def _advice(self, wrong: Sequence[Artifact], *, offline: bool, folder: Path | None) -> str:
        """How the files get here: by themselves where they can, or by hand."""
        them = "it" if len(wrong) == 1 else "them"
        place = f"the model folder {folder}" if folder else "the model folder"
        sources = [file.sources[0] for file in wrong if file.sources]
        if len(sources) < len(wrong):
            return f"put {them} into {place}"
        fetch = "start once without --offline" if offline else f"run lama-server download {self.entry.name}"
        return f"{fetch}, or get {them} from {listed(sources)} and put {them} into {place}"


def locate(
    entry: ModelEntry, model_dir: Path | None = None, *, check: Check = "new", listener: Listener | None = None
) -> ModelFiles:
    """Where the model's files are and whether they are what was published. Opens no socket and imports no torch.

    Looks at every folder in turn and takes the first good copy; alternative sets are looked at only when the entry's
    own set is not complete. Where none is, a file that is there and cannot be used counts before one that is missing.
    Files outside the model folder are used where they lie and never changed.

    check     "cached" costs a few system calls and is for lists; "new" is for loading; "all" for `verify`
    listener  told the bytes hashed so far of the file at hand
    """
    home = model_dir or default_model_dir()
    best = _located(entry, entry.weights, home, check, listener)
    for files in entry.alternatives:
        if best.status in _USABLE:
            break
        other = _located(entry, files, home, check, listener)
        if other.status in _USABLE or (best.status == "missing" and other.status != "missing"):
            best = other
    return best


def accept(entry: ModelEntry, model_dir: Path | None = None) -> ModelFiles:
    """Trusts files without a published sum as they are now, after one was replaced on purpose."""
    files = locate(entry, model_dir, check="new")
    hashes = HashCache(files.model_dir)
    for state in files.files:
        unpublished = state.path is not None and state.proof in (None, "first-use")
        if unpublished and state.path is not None and (row := hashes.recorded(state.path)) and row.first_use:
            hashes.trust(state.path, hashes.measure(state.path))
    return locate(entry, model_dir, check="new")


_WORST_FIRST: tuple[Status, ...] = ("unsafe", "corrupted", "missing", "unverified", "ready")
_USABLE: tuple[Status, ...] = ("ready", "unverified")
_ERRORS: dict[Status, type[WeightsError]] = {
    "unsafe": UnsafeWeights,
    "corrupted": WeightsCorrupted,
    "missing": WeightsMissing,
}


def _located(
    entry: ModelEntry, artifacts: tuple[Artifact, ...], home: Path, check: Check, listener: Listener | None
) -> ModelFiles:
    states: list[FileState] = []
    for artifact in artifacts:
        if isinstance(artifact, WeightsFolder):
            states += _located_folder(artifact, home, check, listener)
        else:
            states.append(locate_file(entry, artifact, home, check=check, listener=listener))
    return ModelFiles(entry, home, tuple(states))


def _located_folder(
    folder: WeightsFolder, home: Path, check: Check, listener: Listener | None
) -> tuple[FileState, ...]:
    """The first place where all of the folder's files are: they are never taken from several."""
    index = WeightsFile(f"{folder.name}/{INDEX}", folder.sources)
    try:
        folder = with_files(folder, home)
    except (UnsafeWeights, WeightsCorrupted) as error:
        return (FileState(index, "unsafe" if isinstance(error, UnsafeWeights) else "corrupted", note=str(error)),)
    if not folder.files:
        return (FileState(index, "missing"),)
    owner_and_name = folder.repository.replace("/", "--")
    snapshots = [cache / f"models--{owner_and_name}" / "snapshots" / folder.revision for cache in hub_cache_dirs()]
    found = []
    for place in (folder.place or home / folder.name, *snapshots):
        found.append(
            tuple(
                _first_good(member, [_Candidate(place / file.path, published=True)], HashCache(home), check, listener)
                for file, member in zip(folder.files, folder.members, strict=True)
            )
        )
        if all(state.status in _USABLE for state in found[-1]):
            return found[-1]
    return found[0]


def locate_file(
    entry: ModelEntry, file: WeightsFile, home: Path, *, check: Check = "new", listener: Listener | None = None
) -> FileState:
    """One file of one of the entry's sets; as `locate`."""
    return _first_good(file, _candidates(entry, file, home), HashCache(home), check, listener)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file that may be the one. `published` = it claims to be the very file that the entry describes."""

    path: Path
    published: bool


def _candidates(entry: ModelEntry, file: WeightsFile, home: Path) -> Iterator[_Candidate]:
    """In the order of preference: what was put there by hand, our own downloads, what other programs left.

    A file of a folder has one place only, beside the others.
    """
    if "/" in file.name or file.place is not None:
        yield _Candidate(file.place or home / file.name, published=True)
        return
    sets = (entry.weights, *entry.alternatives)
    alone = (file,) in sets
    others = {other.name for files in sets for other in files} - {file.name}
    parts = {Path(other.name).stem for files in sets if len(files) > 1 for other in files}
    own_folder = home / entry.name
    suffixes = (ONNX,) if file.name.endswith(ONNX) else SUFFIXES
    if own_folder.is_dir():
        for suffix in suffixes:
            for path in sorted(own_folder.glob(f"*{suffix}")):
                if path.name == file.name:
                    yield _Candidate(path, published=True)
                elif path.name not in others and (
                    path.stem == Path(file.name).stem or (alone and path.stem not in parts)
                ):
                    yield _Candidate(path, published=False)
    yield _Candidate(home / file.name, published=True)
    for suffix in suffixes:
        other_form = (home / file.name).with_suffix(suffix)
        if other_form.name != file.name:
            yield _Candidate(other_form, published=False)
    for name in dict.fromkeys((file.name, *(source.rpartition("/")[2] for source in file.sources))):
        for folder in torch_hub_dirs():
            yield _Candidate(folder / name, published=True)
    for source in file.sources:
        for cache in hub_cache_dirs():
            for path in in_hub_cache(source, cache):
                yield _Candidate(path, published=True)


def _first_good(
    file: WeightsFile, candidates: Iterable[_Candidate], hashes: HashCache, check: Check, listener: Listener | None
) -> FileState:
    bad: FileState | None = None
    for candidate in candidates:
        if not candidate.path.is_file():
            continue
        state = _judged(file, candidate, hashes, check, listener)
        if state.status in _USABLE:
            return state
        bad = bad or state
    return bad or FileState(file, "missing")


def _judged(
    file: WeightsFile, candidate: _Candidate, hashes: HashCache, check: Check, listener: Listener | None
) -> FileState:
    path = candidate.path
    try:
        size, wanted = path.stat().st_size, file.size_bytes if candidate.published else None
        if wanted is not None and size != wanted:
            return _refused(file, path, f"has {size:,} bytes; the published file has {wanted:,}.")
        row = hashes.unchanged(path) if check != "all" else None
        if row is None and check == "cached":
            unlike = _bad_content(file, path) if wanted is None else None
            return unlike or FileState(file, "unverified", path)
        row = row or hashes.measure(path, listener)
        if candidate.published and (file.sha256 or file.md5):
            return _against_published(file, path, row)
        return _against_first_use(file, path, row, hashes, check)
    except OSError as error:
        return FileState(file, "corrupted", path, note=f"{path.name} cannot be read: {error.strerror}.")


def _refused(file: WeightsFile, path: Path, why: str) -> FileState:
    """A file that is not the published one. One that could carry code is called that, whatever else it is."""
    bad = _bad_content(file, path)
    return bad if bad and bad.status == "unsafe" else FileState(file, "corrupted", path, note=f"{path.name} {why}")


def _bad_content(file: WeightsFile, path: Path) -> FileState | None:
    """What is wrong with the form of a file's content; nothing in it is run."""
    try:
        with path.open("rb") as handle:
            check_content(handle, path.name)
    except (WeightsCorrupted, UnsafeWeights) as error:
        status: Status = "unsafe" if isinstance(error, UnsafeWeights) else "corrupted"
        return FileState(file, status, path, note=str(error))
    return None


def _against_published(file: WeightsFile, path: Path, row: Row) -> FileState:
    proof: Proof = "sha256" if file.sha256 else "md5"
    found, wanted = (row.sha256, file.sha256) if file.sha256 else (row.md5, file.md5)
    if found == wanted:
        return FileState(file, "ready", path, proof)
    kind = {"sha256": "SHA-256", "md5": "MD5"}[proof]
    return _refused(file, path, f"is not the published file: its {kind} is {found}, not {wanted}.")


def _against_first_use(file: WeightsFile, path: Path, row: Row, hashes: HashCache, check: Check) -> FileState:
    if not row.first_use:
        if bad := _bad_content(file, path):
            return bad
        if check == "cached":
            return FileState(file, "unverified", path)
        row = hashes.trust(path, row)
    if row.first_use == row.sha256:
        note = f"No hash of {path.name} was published; since its first use it must have SHA-256 {row.sha256}."
        return FileState(file, "ready", path, "first-use", note)
    return FileState(
        file,
        "corrupted",
        path,
        note=f"{path.name} has changed since its first use. If that was on purpose: lama-server verify NAME --accept.",
    )
