"""Everything that lives as long as the server does, put together once: settings, workers, queue, store, models."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from inpaint_models.catalog import get_model, list_models
from inpaint_models.registry import ModelEntry

from .. import __version__
from ..errors import ApiError
from ..model_manager.manager import LOAD_ERRORS, ModelManager, WeightsSource
from ..model_manager.weights_source import LibraryWeights
from ..schemas.replies import ConfigReply, LimitsReply
from ..settings import Limits, Settings, public_settings
from ..store.documents import Documents
from ..store.media import Media
from ..workers.executor import Executor, FindFiles
from ..workers.local import LocalExecutor
from ..workers.messages import Codec
from ..workers.supervisor import Supervisor
from .autosave import AutoSave
from .model_jobs import ModelJobs
from .queue import JobQueue
from .readiness import Readiness
from .runner import JobRunner
from .selections import Selections

CODEC_HANDLER = "lama_server.workers.codec_worker:CodecHandler"
"""Named and not imported: image libraries belong into the worker alone."""

Question = Literal["cancel", "preview", "patch"]
"""About a job that runs: cancel it, by its id; its estimate, by name; its finished patch, by EDIT/INDEX."""

log = logging.getLogger(__name__)


def _offered(settings: Settings) -> tuple[tuple[ModelEntry, ...], Settings]:
    """(every model, that of --model with them wherever it lies; the settings with its own name)."""
    home = settings.resolved_model_dir()
    entries = list_models(model_dir=home)
    if settings.model == "auto":
        return entries, settings
    wanted = get_model(settings.model, None, home)
    return (*entries, *(() if wanted in entries else (wanted,))), replace(settings, model=wanted.name)


class Services:
    """What routes work with; one per application.

    ask_peers  of an application of several: asks the others about their jobs
    """

    def __init__(
        self,
        settings: Settings,
        *,
        entries: Sequence[ModelEntry] | None = None,
        weights: WeightsSource | None = None,
        limits: Limits | None = None,
        executor: Callable[[FindFiles], Executor] | None = None,
        boot_id: str = "",
    ) -> None:
        if entries is None:
            entries, settings = _offered(settings)
        self.settings, self.limits = settings, limits or Limits()
        self.boot_id = boot_id or uuid.uuid4().hex
        self.ask_peers: Callable[[Question, str], Awaitable[object | None]] | None = None
        self.manager = ModelManager(entries, weights or LibraryWeights(settings), settings)
        self.codec: Supervisor[Codec] = Supervisor(
            "codec",
            CODEC_HANDLER,
            (settings.max_megapixels,),
            cancel_grace_s=self.limits.cancel_grace_s,
            backoff_s=self.limits.backoff_s,
        )
        self.executor = (executor or self._local_executor)(self.manager.files)
        self.queue = JobQueue(self.executor, self.limits.queue_waiting, self.limits.queue_wait_s)
        self.documents = Documents(settings, self.limits, self.codec)
        self.media = Media(settings.input, settings.output_dir, self.documents.codec_limits)
        self.saves = AutoSave(settings, self.documents)
        self.models = ModelJobs(self.limits, self.documents, self.executor, self.manager)
        self.runner = JobRunner(self.limits, self.documents, self.saves, self.models, self.queue)
        self.selections = Selections(self.limits, self.documents, self.models)
        folders = {"disk": self.documents.store.check, **({"output_dir": self.saves.check} if self.saves.is_on else {})}
        folders |= {"store": self.documents.keeper.check} if settings.store else {}
        self.readiness = Readiness(self.queue, self.codec, self.executor, self.manager, folders)
        self.open_image: str | None = None
        self._loading: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None

    def _local_executor(self, files: FindFiles) -> Executor:
        settings, limits = self.settings, self.limits
        return LocalExecutor(
            settings.devices,
            settings.workers,
            files,
            model_dir=settings.resolved_model_dir(),
            memory_budget_bytes=settings.memory_budget * 2**20,
            max_megapixels=settings.max_megapixels,
            placement=settings.placement,
            cancel_grace_s=limits.cancel_grace_s,
            backoff_s=limits.backoff_s,
        )

    # life

    async def start(self) -> None:
        """Starts the workers without waiting for them, and fetches the wanted model when its weights are missing."""
        self.codec.start()
        self.executor.on_change = self._note_loaded
        self.executor.on_restart = lambda: self._load(self.manager.current)
        self.executor.start()
        await self.saves.start()
        await self.manager.refresh()
        self.manager.on_ready = lambda entry: self._load(entry) if entry is self.manager.wanted else None
        wanted = self.manager.wanted
        if self.manager.state(wanted) == "missing" and not self.settings.local_files_only:
            self.manager.download(wanted.name)
        self._load(self.manager.current)
        if self.settings.input is not None and not self.media.is_on:
            self._opening = asyncio.create_task(self._open(self.settings.input))
            await asyncio.wait({self._opening}, timeout=10)

    async def stop(self) -> None:
        self.begin_stop()
        for task in (self._loading, self._opening):
            if task is not None:
                task.cancel()
        await self.saves.finish(self.limits.drain_s)
        await self.executor.close()
        await self.codec.close()
        self.media.close()

    def begin_stop(self) -> None:
        """No new jobs; those that wait are sent away, the running one goes on. May be called from a signal handler."""
        self.queue.close()
        self.manager.close()

    async def end_jobs(self) -> None:
        """Ends the jobs that still run: each one's last line, or answer, is that the server is stopping."""
        await self.executor.close()

    def end_now(self) -> None:
        """Ends the workers without waiting for anything."""
        self.executor.kill()
        self.codec.kill()

    def switch_model(self, name: str) -> str:
        """Makes another model the current one and loads it; returns its name. Raises as `ModelManager.choice` does."""
        entry = self.manager.prefer(name)
        self._load(entry)
        return entry.name

    def _note_loaded(self) -> None:
        self.manager.loaded = self.executor.loaded

    def _load(self, entry: ModelEntry) -> None:
        """Loads and warms a model up, so that the first stroke does not wait for it.

        One that does not load makes way for the best that is ready.
        """
        if self._loading is not None:
            self._loading.cancel()
        self._loading = asyncio.get_running_loop().create_task(self._load_quietly(entry))

    async def _load_quietly(self, entry: ModelEntry) -> None:
        self.readiness.load_problem = None
        try:
            await self.executor.load(self.manager.choice(entry.name), deadline_s=self.limits.network_deadline_s)
        except ApiError as error:
            log.warning("%s was not loaded ahead: %s", entry.name, error)
            self.readiness.load_problem = error.fresh()
            if isinstance(error, LOAD_ERRORS) and self.manager.reject(entry, error):
                await self._load_quietly(self.manager.current)
        else:
            await self._load_for_looks(entry)

    async def _load_for_looks(self, beside: ModelEntry) -> None:
        """Loads the model for quick looks as well, beside a network, if there is room for both."""
        quick, budget_bytes = self.manager.quick, self.settings.memory_budget * 2**20 // self.settings.workers
        if quick is None or not beside.weights or beside.memory_bytes + quick.memory_bytes > budget_bytes:
            return
        try:
            await self.executor.load(self.manager.choice(quick.name), deadline_s=self.limits.network_deadline_s)
        except ApiError as error:
            log.warning("%s was not loaded for quick looks: %s", quick.name, error)

    async def _open(self, path: Path) -> None:
        """Takes in the photo that --input names."""
        self.open_image = (await self.documents.add_file(path)).id

    # jobs that run

    def answer(self, question: Question, name: str) -> object | None:
        """True for a job that was cancelled, a `Preview`, a patch's bytes; None where that is not of this process."""
        if question == "preview":
            return self.runner.early.preview(name)
        if question == "patch":
            edit, _, index = name.partition("/")
            return self.runner.early.patch(edit, int(index))
        if ticket := self.queue.find(name):
            ticket.cancel()
        return True if ticket else None

    async def find(self, question: Question, name: str) -> object | None:
        """As `answer`, of this process or a peer."""
        own = self.answer(question, name)
        return own if own is not None or self.ask_peers is None else await self.ask_peers(question, name)

    # describing

    def config_reply(self) -> ConfigReply:
        return ConfigReply(
            version=__version__,
            boot_id=self.boot_id,
            model=self.manager.current.name,
            device=", ".join(self.executor.devices),
            output_dir=self.settings.output_dir.name if self.settings.output_dir else None,
            open_image=self.open_image,
            input_dir=self.settings.input.name if self.settings.input and self.media.is_on else None,
            limits=LimitsReply.of_record(
                self.limits,
                max_megapixels=self.settings.max_megapixels,
                max_side_px=self.documents.codec_limits.max_side,
            ),
            settings=public_settings(self.settings),
        )
