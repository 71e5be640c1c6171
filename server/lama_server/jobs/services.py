"""Everything that lives as long as the server does, put together once: settings, workers, queue, store, models."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from inpaint_models.catalog import list_models
from inpaint_models.folders import default_model_dir
from inpaint_models.registry import ModelEntry

from .. import __version__
from ..errors import ApiError
from ..model_manager.manager import LOAD_ERRORS, ModelManager, WeightsSource
from ..model_manager.weights_source import LibraryWeights
from ..schemas.replies import CheckReply, ConfigReply, LimitsReply, ReadyReply, WorkerReply
from ..settings import Limits, Settings, public_settings
from ..store.documents import Documents
from ..workers.executor import Executor, FindFiles
from ..workers.local import LocalExecutor
from ..workers.messages import Codec
from ..workers.supervisor import Supervisor
from .autosave import AutoSave
from .model_jobs import ModelJobs
from .queue import JobQueue
from .runner import JobRunner
from .selections import Selections

FREE_DISK_FLOOR = 200 * 2**20

CODEC_HANDLER = "lama_server.workers.codec_worker:CodecHandler"
"""Named and not imported: image libraries belong into the worker alone."""

log = logging.getLogger(__name__)


class Services:
    """What routes work with; one per application."""

    def __init__(
        self,
        settings: Settings,
        *,
        entries: Sequence[ModelEntry] | None = None,
        weights: WeightsSource | None = None,
        limits: Limits | None = None,
        executor: Callable[[FindFiles], Executor] | None = None,
    ) -> None:
        self.settings, self.limits = settings, limits or Limits()
        self.boot_id = uuid.uuid4().hex
        self.manager = ModelManager(
            list_models() if entries is None else entries, weights or LibraryWeights(settings), settings
        )
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
        self.saves = AutoSave(settings, self.documents)
        models = ModelJobs(self.limits, self.documents, self.executor, self.manager)
        self.runner = JobRunner(self.limits, self.documents, self.saves, models, self.queue)
        self.selections = Selections(self.documents, models)
        self.open_image: str | None = None
        self._loading: asyncio.Task[None] | None = None
        self._load_problem: ApiError | None = None
        self._opening: asyncio.Task[None] | None = None

    def _local_executor(self, files: FindFiles) -> Executor:
        settings, limits = self.settings, self.limits
        return LocalExecutor(
            settings.devices,
            settings.workers,
            files,
            model_dir=settings.model_dir or default_model_dir(),
            memory_budget_bytes=settings.memory_budget * 2**20,
            max_megapixels=settings.max_megapixels,
            cancel_grace_s=limits.cancel_grace_s,
            backoff_s=limits.backoff_s,
        )

    # life

    async def start(self) -> None:
        """Starts the workers without waiting for them, and fetches the wanted model when its weights are missing."""
        self.codec.start()
        self.executor.on_change = self._note_loaded
        self.executor.on_exit = lambda: self._load(self.manager.current)
        self.executor.start()
        await self.manager.refresh()
        self.manager.on_ready = lambda entry: self._load(entry) if entry is self.manager.wanted else None
        wanted = self.manager.wanted
        if self.manager.state(wanted) == "missing" and not self.settings.local_files_only:
            self.manager.download(wanted.name)
        self._load(self.manager.current)
        if self.settings.input is not None:
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

    def begin_stop(self) -> None:
        """No new jobs; those that wait are sent away, the running one goes on. May be called from a signal handler."""
        self.queue.close()
        self.manager.close()

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
        self._load_problem = None
        try:
            await self.executor.load(self.manager.choice(entry.name), deadline_s=self.limits.network_deadline_s)
        except ApiError as error:
            log.warning("%s was not loaded ahead: %s", entry.name, error)
            self._load_problem = error.fresh()
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

    # describing

    def config_reply(self) -> ConfigReply:
        return ConfigReply(
            version=__version__,
            boot_id=self.boot_id,
            model=self.manager.current.name,
            device=", ".join(self.executor.devices),
            output_dir=self.settings.output_dir.name if self.settings.output_dir else None,
            open_image=self.open_image,
            limits=LimitsReply(
                max_megapixels=self.settings.max_megapixels,
                max_side_px=self.documents.codec_limits.max_side,
                upload_bytes=self.limits.upload_bytes,
                runs=self.limits.runs,
                shapes=self.limits.shapes,
            ),
            settings=public_settings(self.settings),
        )

    def readiness(self) -> ReadyReply:
        checks = {
            "accepting": _check(not self.queue.closing, "the server is stopping"),
            "codec_worker": _check(self.codec.is_ready, "starting"),
            "engine_worker": self._executor_check(),
            "model": self._model_check(),
            "queue": _check(not self.queue.is_full, "full"),
            "disk": _check(self._free_bytes() > FREE_DISK_FLOOR, "less than 200 MiB are free"),
        }
        if self.settings.output_dir is not None:
            checks["output_dir"] = _check(self.settings.output_dir.is_dir(), "the folder is gone")
        workers = [
            WorkerReply(name=w.name, device=w.device, state=w.state, restarts=w.restarts, loaded=list(w.loaded))
            for w in self.executor.workers
        ]
        return ReadyReply(ready=all(check.ok for check in checks.values()), checks=checks, workers=workers)

    def _executor_check(self) -> CheckReply:
        """Whether some worker can take a job; and which cannot."""
        down = [f"{worker.name}: {worker.state}" for worker in self.executor.workers if worker.state != "ready"]
        return CheckReply(ok=self.executor.is_ready, detail=", ".join(down) or "ok")

    def _model_check(self) -> CheckReply:
        """Whether the current model is loaded; and why it is not the wanted one, or why it is not loaded."""
        current = self.manager.current
        if current.name not in self.manager.loaded:
            return CheckReply(ok=False, detail=self._load_problem.detail if self._load_problem else "loading")
        wanted = self.manager.problem(self.manager.wanted)
        return CheckReply(
            ok=True, detail=f"{wanted.detail} Working with {current.title} meanwhile." if wanted else "ok"
        )

    def _free_bytes(self) -> int:
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self.documents.root).free
        return 0


def _check(ok: bool, otherwise: str) -> CheckReply:
    return CheckReply(ok=ok, detail="ok" if ok else otherwise)
