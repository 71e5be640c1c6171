"""Fetching what is missing: several sources, one final name, and only for bytes that were verified."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from filelock import FileLock, Timeout

from ..errors import DownloadFailed, UnsafeWeights, WeightsCorrupted
from ..folders import default_model_dir, hub_address
from ..registry import Artifact, ModelEntry, WeightsFile, WeightsFolder, files_of
from ..repositories import DESCRIPTION, listing_file, with_files
from . import disk
from .formats import check_content
from .hash_cache import Digests, HashCache, Row, digests_of, identity
from .locate import ModelFiles, locate, locate_file
from .network import Network, TransferError
from .part import Target, check, disk_failure, fetch

_logger = logging.getLogger(__name__)

_HUB_API = "https://huggingface.co/api/"
_LOCK_POLL_S = 0.5
_PROGRESS_THAT_COUNTS_BYTES = 1 << 20
"""An attempt that brings this much is not held against its source: large files over bad lines need many."""


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """Where a download stands.

    stage        "waiting" = another process is fetching the same file
    done_bytes   of all the model's files together
    total_bytes  None where a size is not known yet
    """

    stage: Literal["waiting", "downloading", "verifying"]
    file: str
    done_bytes: int
    total_bytes: int | None


ProgressListener = Callable[[TransferProgress], None]


def silent(progress: TransferProgress) -> None:
    """A listener that does nothing."""


def download(
    entry: ModelEntry,
    model_dir: Path | None = None,
    *,
    progress: ProgressListener = silent,
    cancelled: Callable[[], bool] = lambda: False,
    local_files_only: bool = False,
    network: Network | None = None,
) -> ModelFiles:
    """The model's files, all of them there and verified; what is missing is fetched into the model folder.

    A file gets its name only after its size and hash were checked. What was cut off, killed or cancelled leaves
    NAME.part, and the next call goes on from there. A second process waits for the first and then uses its file.

    progress          called for every piece that arrives; may raise to stop
    cancelled         asked four times a second
    local_files_only  raise `WeightsMissing` rather than open a socket

    Raises `WeightsMissing`, `WeightsCorrupted` (no source has the published file), `DownloadFailed`, `Cancelled`.
    """
    found = locate(entry, model_dir)
    if local_files_only or found.status == "ready":
        found.require_ready(offline=local_files_only)
        return found
    fetchable = [files for files in (entry.weights, *entry.alternatives) if all(file.sources for file in files)]
    if not fetchable:
        found.require_ready()
    errors: list[DownloadFailed | WeightsCorrupted] = []
    for files in fetchable:
        job = _Job(entry, (), found.model_dir, progress, cancelled, network or Network())
        try:
            replace(job, files=job.all_files(files)).run()
            return locate(entry, model_dir)
        except (DownloadFailed, WeightsCorrupted) as error:
            errors.append(error)
            if isinstance(error, DownloadFailed) and error.cause in ("disk_full", "disk"):
                break
    raise errors[0]


def describe(entry: ModelEntry, model_dir: Path | None = None) -> None:
    """Fetches of a folder what says which pipeline it is: some kilobytes. Raises as `download`."""
    job = _Job(entry, (), model_dir or default_model_dir(), silent, lambda: False, Network())
    wanted = [file for file in job.all_files(entry.weights) if file.name.partition("/")[2] in DESCRIPTION]
    replace(job, files=tuple(wanted)).run()


@dataclass(frozen=True, slots=True)
class _Job:
    """The download of one set of files."""

    entry: ModelEntry
    files: tuple[WeightsFile, ...]
    model_dir: Path
    progress: ProgressListener
    cancelled: Callable[[], bool]
    network: Network

    def all_files(self, artifacts: Iterable[Artifact]) -> tuple[WeightsFile, ...]:
        """All files, also of folders whose listing has to be asked for."""
        known = []
        for artifact in artifacts:
            if isinstance(artifact, WeightsFolder) and not (artifact := with_files(artifact, self.model_dir)).files:
                replace(self, files=(listing_file(artifact),)).run()
                artifact = with_files(artifact, self.model_dir)
            known.append(artifact)
        return files_of(known)

    def run(self) -> None:
        for file in self.files:
            target = Target(self.model_dir / file.name, file.size_bytes, proven=bool(file.sha256 or file.md5))
            try:
                target.path.parent.mkdir(parents=True, exist_ok=True)
                with self._only_process(file, target):
                    if locate_file(self.entry, file, self.model_dir).status != "ready":
                        self._fetch(file, target)
            except OSError as error:
                raise self._failed(file, [disk_failure(error)]) from error

    def _fetch(self, file: WeightsFile, target: Target) -> None:
        """From the first source that delivers the right bytes."""
        if target.path.exists():  # not the published file: it makes room, but is not deleted
            target.path.replace(target.path.with_name(f"{target.path.name}.replaced"))
        errors: list[TransferError] = []
        for source in file.sources:
            try:
                self._from_source(source, file, target)
                return
            except TransferError as error:
                _logger.warning("%s: %s", file.name, error)
                errors.append(error)
                if error.cause in ("disk_full", "disk"):
                    break
        raise self._failed(file, errors)

    def _from_source(self, source: str, file: WeightsFile, target: Target) -> None:
        """Tries again while that makes sense; wrong bytes are fetched afresh once."""
        failures = mismatches = 0
        best = target.done_bytes
        while True:
            try:
                url, secret_headers = _address(source)
                fetch(
                    url,
                    target,
                    self.network,
                    secret_headers=secret_headers,
                    listener=lambda done, total: self._tell("downloading", file, done, total),
                    cancelled=self.cancelled,
                )
                self._finish(file, target)
                return
            except TransferError as error:
                mismatches += error.cause == "wrong_content"
                progressed = target.done_bytes - best >= _PROGRESS_THAT_COUNTS_BYTES
                failures = 1 if progressed else failures + 1
                best = max(best, target.done_bytes)
                if not error.retryable or failures >= self.network.tries or mismatches > 1:
                    raise
                self._wait(self.network.wait_s(failures, error.retry_after_s))

    def _finish(self, file: WeightsFile, target: Target) -> None:
        """Checks the whole part, puts it on the disk for good and gives it its name."""
        size = target.done_bytes
        disk.sync_file(target.part)
        with target.part.open("rb") as handle:
            sums = digests_of(handle, lambda done: self._verifying(file, done, size))
            wrong = _what_is_wrong(file, sums, handle.seek(0, os.SEEK_END))
            if not wrong and not target.proven:
                wrong = _unusable(handle, file.name)
        if wrong:
            target.part.replace(_bad(target.path))
            target.discard()
            raise TransferError("wrong_content", wrong, retryable=True)
        target.notes.unlink(missing_ok=True)
        _bad(target.path).unlink(missing_ok=True)
        disk.finish(target.part, target.path)
        first_use = "" if target.proven else sums.sha256
        row = Row(*identity(target.path.stat()), sums.sha256, sums.md5, first_use)
        HashCache(self.model_dir).store(target.path, row)

    def _tell(self, stage: Literal["waiting", "downloading"], file: WeightsFile, done: int, total: int | None) -> None:
        """Counts over all files of the set: those before this one are done, those after it as large as is known."""
        index = self.files.index(file)
        before = sum(self._size_on_disk(other) for other in self.files[:index])
        sizes = [total or file.size_bytes or file.approx_size_bytes]
        sizes += [other.size_bytes or other.approx_size_bytes for other in self.files[index + 1 :]]
        self.progress(TransferProgress(stage, file.name, before + done, before + sum(sizes) if all(sizes) else None))

    def _size_on_disk(self, file: WeightsFile) -> int:
        path = self.model_dir / file.name
        return path.stat().st_size if path.exists() else file.size_bytes or file.approx_size_bytes

    def _verifying(self, file: WeightsFile, done: int, size: int) -> None:
        check(self.cancelled)
        self.progress(TransferProgress("verifying", file.name, done, size))

    def _wait(self, seconds: float) -> None:
        """Sleeps in short pieces, so that a cancelled download ends soon."""
        while seconds > 0:
            check(self.cancelled)
            piece = min(seconds, _LOCK_POLL_S)
            self.network.sleep(piece)
            seconds -= piece

    @contextmanager
    def _only_process(self, file: WeightsFile, target: Target) -> Iterator[None]:
        """Lets one process in at a time. The system frees the lock of a process that died."""
        folder = self.model_dir / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        disk.sweep(target.path.parent)
        lock = FileLock(folder / f"{file.name.replace('/', '--')}.lock")
        while True:
            try:
                held = lock.acquire(timeout=0)
                break
            except Timeout:
                self._tell("waiting", file, target.done_bytes, None)
                self._wait(_LOCK_POLL_S)
        with held:
            yield

    def _failed(self, file: WeightsFile, errors: list[TransferError]) -> DownloadFailed | WeightsCorrupted:
        said = "; ".join(dict.fromkeys(str(error).rstrip(".") for error in errors))
        by_hand = f"Or get it from {file.sources[0]} and put it into the model folder."
        if any(error.cause == "wrong_content" for error in errors):
            return WeightsCorrupted(f"No source has the published {file.name}: {said}. {by_hand}")
        advice = "Make room" if errors[-1].cause == "disk_full" else "Try again later"
        return DownloadFailed(
            f"{file.name} could not be downloaded: {said}. {advice}, what has arrived is kept. {by_hand}",
            cause=errors[-1].cause,
        )


def _address(source: str) -> tuple[str, dict[str, str]]:
    """The address to ask and headers that are only for its host: huggingface_hub knows mirrors and tokens.

    Its own download is not used: what is cut off or cancelled there is deleted, a silent server keeps a cancel waiting
    for its time-out, redirects to plain http are followed, and bytes get their final name before they can be verified.
    """
    hub, endpoint = hub_address(source), os.environ.get("HF_ENDPOINT")
    asks_api = source.startswith(_HUB_API)
    if hub is None and not asks_api:
        return source, {}
    from huggingface_hub import get_token, hf_hub_url

    url = source
    if hub is not None:
        repository, revision, file = hub
        url = hf_hub_url(repository, file, revision=revision, endpoint=endpoint)
    elif endpoint:
        url = f"{endpoint}/api/{source.removeprefix(_HUB_API)}"
    token = get_token()
    return url, {"Authorization": f"Bearer {token}"} if token else {}


def _what_is_wrong(file: WeightsFile, sums: Digests, size: int) -> str:
    if file.size_bytes is not None and size != file.size_bytes:
        return f"{file.name} arrived with {size:,} bytes instead of {file.size_bytes:,}"
    if file.sha256 is not None and sums.sha256 != file.sha256:
        return f"{file.name} arrived with SHA-256 {sums.sha256} instead of {file.sha256}"
    if file.sha256 is None and file.md5 is not None and sums.md5 != file.md5:
        return f"{file.name} arrived with MD5 {sums.md5} instead of {file.md5}"
    return ""


def _unusable(handle: BinaryIO, name: str) -> str:
    """Why bytes that no published hash vouches for cannot be weights: a log-in page, say."""
    try:
        check_content(handle, name)
    except (WeightsCorrupted, UnsafeWeights) as error:
        return str(error)
    return ""


def _bad(path: Path) -> Path:
    """Where bytes go that turned out wrong; replaced by the next ones, deleted when the right ones arrive."""
    return path.with_name(f"{path.name}.bad")
