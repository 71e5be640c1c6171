"""Which models can be used now: found, missing, on their way, loaded or failed; and the downloads that change it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from inpaint_models.errors import WeightsError
from inpaint_models.registry import STRATEGIES, ModelEntry, Task, listed

from .. import errors
from ..schemas.models import (
    DownloadEvent,
    DownloadProgress,
    ModelReply,
    ModelsReply,
    ModelState,
)
from ..schemas.problems import ProblemReply
from ..settings import Settings
from ..workers.messages import ModelChoice
from .download_log import DownloadLog

AUTO_ORDER = ("lama", "migan", "patchmatch", "opencv")
"""What --model auto takes, best first."""

SMALL = "migan"
"""A network that is small, quick everywhere, and free to use: what --model auto fetches where it finds no network's
weights, and what gives the quick look while another model works."""

FALLBACK_ORDER = ("patchmatch", "opencv")
"""What the page works with while the wanted model is not ready."""

LOAD_ERRORS = (errors.ModelFilesError, errors.ModelUnavailable, errors.EngineOutputInvalid, errors.InternalError)
"""Answers to a load that the next try would get as well. Memory may be there next time, a crashed worker is."""

DownloadReport = Callable[[int, int | None], None]
"""Told (bytes done, bytes in total if known)."""


class WeightsSource(Protocol):
    """Where weights come from. Both methods block and are called in threads."""

    def find(self, entry: ModelEntry) -> Mapping[str, Path] | None:
        """A file for each name that the entry needs, or None when one is missing.

        Raises `WeightsCorrupted`, `UnsafeWeights` for one that is there and cannot be used.
        """

    def download(self, entry: ModelEntry, report: DownloadReport, cancelled: Callable[[], bool]) -> Mapping[str, Path]:
        """Fetches what is missing, until `cancelled` says otherwise. Raises `WeightsError`, `Cancelled`."""


@dataclass(slots=True)
class Download:
    """One download, watched by any number of people."""

    entry: ModelEntry
    done_bytes: int = 0
    total_bytes: int | None = None
    finished: bool = False
    problem: errors.ApiError | None = None
    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def events(self) -> AsyncGenerator[DownloadEvent, None]:
        """Each state from now on; the last one is ready or failed."""
        while True:
            changed, is_last = self.changed, self.finished
            yield self.event()
            if is_last:
                return
            await changed.wait()

    def event(self) -> DownloadEvent:
        state: ModelState = "downloading"
        if self.finished:
            state = "failed" if self.problem else "ready"
        return DownloadEvent(
            state=state,
            progress=DownloadProgress(done_bytes=self.done_bytes, total_bytes=self.total_bytes),
            problem=ProblemReply.of(self.problem) if self.problem else None,
        )


Stamp = tuple[tuple[str, int, int, int] | None, ...]
"""(path, size, time of change, inode) of each file, None for one that is gone."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Weights that are there but do not load, as they were then."""

    weights: Mapping[str, Path]
    stamp: Stamp


class ModelManager:
    """The catalogue with each model's state on this machine."""

    def __init__(self, entries: Sequence[ModelEntry], source: WeightsSource, settings: Settings) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._names = {name: entry for entry in entries for name in (entry.name, *entry.aliases)}
        self._source, self._settings = source, settings
        self._weights: dict[str, Mapping[str, Path]] = {}
        self._unavailable: dict[str, errors.ApiError] = {}
        self._failed: dict[str, errors.ApiError] = {}
        self._unusable: dict[str, errors.ApiError] = {}
        self._rejected: dict[str, Rejected] = {}
        self._downloads: dict[str, Download] = {}
        self._preferred: dict[Task, ModelEntry] = {}
        self._closing = threading.Event()
        self.loaded: frozenset[str] = frozenset()
        self.on_ready: Callable[[ModelEntry], None] = lambda entry: None

    # looking

    def entry(self, name: str) -> ModelEntry:
        """The entry of that name or alias. Raises `ModelUnknown`."""
        if name not in self._names:
            raise errors.ModelUnknown(f"There is no model {name[:60]!r}. There are: {', '.join(self._entries)}.")
        return self._names[name]

    @property
    def wanted(self) -> ModelEntry:
        """What was asked for, last by `prefer`, first by --model; with auto, the best network that is ready.

        Where none is, auto wants `SMALL`, unless that cannot be fetched: then the best that needs no weights.
        """
        if "fill" in self._preferred:
            return self._preferred["fill"]
        if self._settings.model != "auto":
            return self.entry(self._settings.model)
        best, small = self._first_ready(AUTO_ORDER), self._entries.get(SMALL)
        if best.weights or small is None or self._settings.local_files_only:
            return best
        return small if self.state(small) in ("missing", "downloading") else best

    @property
    def current(self) -> ModelEntry:
        """What fills when no model is named: the wanted one, or the best that is ready meanwhile."""
        wanted = self.wanted
        return wanted if self.is_ready(wanted) else self._first_ready(FALLBACK_ORDER)

    @property
    def quick(self) -> ModelEntry | None:
        """The model for quick looks, if they are wanted and it is ready."""
        small = self._entries.get(SMALL)
        return small if self._settings.quick_look and small is not None and self.is_ready(small) else None

    def ready_names(self, task: Task) -> list[str]:
        """Names of the models that can do that now."""
        return [entry.name for entry in self._entries.values() if entry.task == task and self.is_ready(entry)]

    def prefer(self, name: str, task: Task = "fill") -> ModelEntry:
        """Makes a ready model the one that is taken when none is named for its task. Raises what `choice` raises."""
        entry = self._preferred[task] = self.offered(name, task).entry
        return entry

    def first_choice(self, task: Task) -> ModelEntry:
        """What does another task than filling when no model is named: the preferred one, or the first ready."""
        return self._first_ready((self._preferred[task].name,) if task in self._preferred else (), task)

    def is_ready(self, entry: ModelEntry) -> bool:
        return entry.name in self._weights and entry.name not in self._unavailable

    def offered(self, name: str | None, *tasks: Task) -> ModelChoice:
        """As `choice`, of what people may ask for. Raises `ModelSwitchDisabled` too."""
        if name is not None and not self._is_offered(self.entry(name)):
            raise errors.ModelSwitchDisabled(
                f"The server fills with {self.current.name} only: it was started with --disable-model-switch."
            )
        return self.choice(name, *tasks)

    def _is_offered(self, entry: ModelEntry) -> bool:
        is_open = not self._settings.disable_model_switch or entry.task != "fill"
        return is_open or entry in (self.current, self.wanted)

    def choice(self, name: str | None, *tasks: Task) -> ModelChoice:
        """The named model; without a name the current one, or for other tasks than filling the first that is ready.

        tasks  what it may be there for; none: to fill

        Raises `ModelUnknown`, `ModelWrongTask`, `ModelUnavailable`, `ModelLoading`, `ModelNotDownloaded`, or why its
        weights cannot be used or do not load.
        """
        tasks = tasks or ("fill",)
        entry = self.entry(name) if name is not None else self.current
        if name is None and "fill" not in tasks:
            entry = self.first_choice(tasks[0])
        if entry.task not in tasks:
            raise errors.ModelWrongTask(f"{entry.title} is there to {entry.task}, not to {' or '.join(tasks)}.")
        if entry.name in self._unavailable:
            raise self._unavailable[entry.name].fresh()
        if entry.name in self._weights:
            return ModelChoice(entry, self._settings.resolved_precision)
        if entry.name in self._downloads:
            raise errors.ModelLoading(
                f"{entry.title} is being downloaded. Its state is at /api/v1/models.", retry_after=10
            )
        if entry.name in self._unusable:
            raise self._unusable[entry.name].fresh()
        if entry.name in self._rejected:
            raise self._failed[entry.name].fresh()
        raise errors.ModelNotDownloaded(self._how_to_get(entry))

    def files(self, entry: ModelEntry) -> Mapping[str, Path]:
        """A file for each name that the entry needs. Raises as `choice`."""
        self.choice(entry.name, entry.task)
        return self._weights[entry.name]

    def state(self, entry: ModelEntry) -> ModelState:
        if entry.name in self._unavailable:
            return "unavailable"
        if entry.name in self._weights:
            return "loaded" if entry.name in self.loaded else "ready"
        if entry.name in self._downloads:
            return "downloading"
        return "failed" if entry.name in self._failed or entry.name in self._unusable else "missing"

    def problem(self, entry: ModelEntry) -> errors.ApiError | None:
        """Why the model cannot be used, where it is more than not being downloaded yet."""
        for known in (self._unavailable, self._unusable, self._failed):
            if entry.name in known:
                return known[entry.name]
        out_of_reach = self._settings.local_files_only and self.state(entry) == "missing"
        return errors.ModelNotDownloaded(self._how_to_get(entry)) if out_of_reach else None

    def reply(self) -> ModelsReply:
        return ModelsReply(
            current=self.current.name,
            wanted=self.wanted.name,
            models=[self._model_reply(entry) for entry in self._entries.values() if self._is_offered(entry)],
        )

    def _model_reply(self, entry: ModelEntry) -> ModelReply:
        download, problem = self._downloads.get(entry.name), self.problem(entry)
        return ModelReply.of_record(
            entry,
            gesture=entry.gesture if entry.task == "select" else None,
            strategies=STRATEGIES,
            strategy=entry.strategy.kind,
            download_is_estimate=not entry.sizes_are_known,
            state=self.state(entry),
            reason=self._reason(entry),
            progress=download.event().progress if download else None,
            problem=ProblemReply.of(problem) if problem else None,
        )

    def _reason(self, entry: ModelEntry) -> str:
        """Why the server chose this model by itself; empty for all others."""
        chosen = self._settings.model == "auto" and "fill" not in self._preferred and entry is self.wanted
        if not chosen or entry.name != SMALL:
            return ""
        return "The first choice on a machine without other networks: small to fetch, quick, free to use."

    def _first_ready(self, order: tuple[str, ...], task: Task = "fill") -> ModelEntry:
        """The first of a task that is ready, of those in `order` before all others; or else the first of them."""
        preferred = [self._entries[name] for name in order if name in self._entries]
        candidates = [*preferred, *(entry for entry in self._entries.values() if entry.task == task)]
        if not candidates:
            raise errors.ModelUnknown(f"There is no model to {task}.")
        return next((entry for entry in candidates if self.is_ready(entry)), candidates[0])

    def _how_to_get(self, entry: ModelEntry) -> str:
        if self._settings.local_files_only:
            are, them, comma = ("is", "it", "") if len(entry.weights) == 1 else ("are", "them", ",")
            sources = [file.sources[0] for file in entry.weights if file.sources]
            fetch = f"fetch {them} from {listed(sources)}{comma} and put" if sources else "put"
            return (
                f"{entry.title} needs {listed(entry.weights)}, which {are} not on this machine, and the server is "
                f"offline: {fetch} {them} into the model folder (lama-server models says where that is), or start once "
                "without --offline."
            )
        return (
            f"The weights of {entry.title} are not on this machine. Download them on the page, with "
            f"lama-server download {entry.name}, or with POST /api/v1/models/{entry.name}/download."
        )

    # changing

    async def refresh(self) -> None:
        """Looks again for the weights of models that are not ready: somebody may have put a file in its place."""
        waiting = [entry for entry in self._entries.values() if not self.is_ready(entry)]
        looks = await asyncio.to_thread(list, map(self._look_for, waiting))
        for entry, found in zip(waiting, looks, strict=True):
            self._unusable.pop(entry.name, None)
            if isinstance(found, errors.ModelUnavailable):
                self._unavailable[entry.name] = found
            elif isinstance(found, Mapping):
                self._admit(entry, found)
            elif not isinstance(found, Rejected):
                if self._rejected.pop(entry.name, None):
                    del self._failed[entry.name]
                if found is not None:
                    self._unusable[entry.name] = found

    def reject(self, entry: ModelEntry, problem: errors.ApiError) -> bool:
        """Notes that a model's weights do not load; whether that is news.

        They no longer count as found until one of the files is another, or a download is asked for. Files that are
        gone are missing, and nothing worse.
        """
        weights = self._weights.pop(entry.name, None)
        if weights is None:
            return False
        self.loaded -= {entry.name}
        stamp = stamp_of(weights)
        if None in stamp:
            return True
        if entry.weights:
            advice = "It is tried again once the file is replaced or taken away."
            problem = problem.fresh(f"{problem.detail} {advice}")
        self._rejected[entry.name], self._failed[entry.name] = Rejected(weights, stamp), problem
        return True

    def _admit(self, entry: ModelEntry, weights: Mapping[str, Path]) -> None:
        self._weights[entry.name] = weights
        self._failed.pop(entry.name, None)
        self._unavailable.pop(entry.name, None)
        self._rejected.pop(entry.name, None)
        self.on_ready(entry)

    def _look_for(self, entry: ModelEntry) -> Mapping[str, Path] | errors.ApiError | Rejected | None:
        """The weights or why they cannot be used; None where they are missing."""
        if hindrance := entry.hindrance:
            return errors.ModelUnavailable(hindrance)
        try:
            found = self._source.find(entry) if entry.weights else {}
        except WeightsError as error:
            return errors.api_error_of(error)
        rejected = self._rejected.get(entry.name)
        return rejected if rejected and found is not None and stamp_of(found) == rejected.stamp else found

    def download(self, name: str) -> Download:
        """The running download of a model, started when there is none. Raises `ModelUnknown`, `ModelNotDownloaded`.

        Weights that did not load are tried once more.
        """
        entry = self.entry(name)
        if self._settings.local_files_only and entry.name in self._rejected:
            self._admit(entry, self._rejected[entry.name].weights)
        if self.is_ready(entry):
            return Download(entry, entry.download_bytes, entry.download_bytes, finished=True)
        if entry.name in self._downloads:
            return self._downloads[entry.name]
        if self._settings.local_files_only:
            raise errors.ModelNotDownloaded(self._how_to_get(entry))
        download = self._downloads[entry.name] = Download(
            entry, total_bytes=entry.download_bytes if entry.sizes_are_known else None
        )
        for known in (self._failed, self._unusable, self._rejected):
            known.pop(entry.name, None)
        download.task = asyncio.get_running_loop().create_task(self._fetch(download))
        return download

    async def _fetch(self, download: Download) -> None:
        loop, entry = asyncio.get_running_loop(), download.entry
        log = DownloadLog(entry)

        def note(done: int, total: int | None) -> None:
            download.done_bytes, download.total_bytes = done, total
            log.arrived(done, total)
            download.tell()

        def report(done: int, total: int | None) -> None:
            loop.call_soon_threadsafe(note, done, total)

        try:
            self._weights[entry.name] = await asyncio.to_thread(
                self._source.download, entry, report, self._closing.is_set
            )
            log.ended(None)
        except Exception as error:  # noqa: BLE001  whatever ended the download is shown where the model is listed
            log.ended(error)
            self._failed[entry.name] = download.problem = errors.api_error_of(error).fresh()
        download.finished = True
        del self._downloads[entry.name]
        download.tell()
        if download.problem is None:
            self.on_ready(entry)

    def close(self) -> None:
        """Makes running downloads stop within a second; what they have is kept for a resume."""
        self._closing.set()


def stamp_of(weights: Mapping[str, Path]) -> Stamp:
    """Changes when one of the files does."""
    return tuple(_file_stamp(path) for _, path in sorted(weights.items()))


def _file_stamp(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_size, found.st_mtime_ns, found.st_ino
