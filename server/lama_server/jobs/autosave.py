"""Auto-save: every finished result into the output folder, without asking and without making anybody wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ApiError, ImageNotFound, InternalError, SaveError, SaveOff, api_error_of
from ..imaging.pictures import Picture
from ..schemas.replies import SavedReply
from ..settings import Settings
from ..store import saving
from ..store.documents import Documents
from ..store.image_store import StoredImage

SAVES_AT_ONCE = 4
"""Results that may wait for the encoder; fills that are faster than it are slowed down."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saved:
    """What auto-save did: a file name, or why there is none; both None when auto-save is off.

    reencoded  why a JPEG had to be encoded anew, else ""
    """

    name: str | None = None
    problem: ApiError | None = None
    reencoded: str = ""

    @property
    def reply(self) -> SavedReply | None:
        """The file as the wire has it."""
        return SavedReply(name=self.name, reencoded=self.reencoded or None) if self.name else None


class AutoSave:
    """Renders and saves results. A save that has begun ends, whether or not its client is still there."""

    def __init__(self, settings: Settings, documents: Documents) -> None:
        self._folder = settings.output_dir.resolve() if settings.output_dir is not None else None
        self._documents, self._min_free_bytes = documents, settings.min_free * 2**20
        self._running: set[asyncio.Task[Saved]] = set()
        self._turn = asyncio.Lock()  # files come in the order of their results

    @property
    def is_on(self) -> bool:
        return self._folder is not None

    async def start(self) -> None:
        """Removes what a killed server left in the folder."""
        if self._folder is not None:
            try:
                await asyncio.to_thread(saving.sweep, self._folder)
            except SaveError as error:
                log.warning("%s", error)

    def check(self) -> None:
        """Raises `SaveError` when a result could not be saved now. Takes the time of the disk."""
        assert self._folder is not None
        saving.check_folder(self._folder, self._min_free_bytes)

    async def save(self, picture: Picture, name: str) -> Saved:
        """Saves one result; a failure is told and costs nothing but the file."""
        if self._folder is None:
            return Saved()
        try:
            saved, rendered = await self._documents.save(picture, name, self._folder)
            return Saved(name=saved, reencoded=rendered.reencoded)
        except Exception as error:  # the result is there: the person is told what was not saved
            problem = api_error_of(error)
            log.warning("auto-save failed: %s", error, exc_info=error if isinstance(problem, InternalError) else None)
            return Saved(problem=problem)

    def begin(self, image: StoredImage, picture: Picture) -> asyncio.Task[Saved]:
        """Saves beside everything else. The photo is not evicted meanwhile."""
        task = asyncio.get_running_loop().create_task(self._save_held(image, picture))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def save_edits(self, image: StoredImage, edits: Sequence[str]) -> SavedReply:
        """Saves the photo with edits over it, because somebody asked for it. Raises what keeps it from being saved."""
        if self._folder is None:
            raise SaveOff("No output folder was given. Start the server with --output-dir, or download the result.")
        await self.room()
        saved = await asyncio.shield(self.begin(image, await self._documents.picture(image, edits)))
        if saved.problem is not None:
            raise saved.problem
        reply = saved.reply
        assert reply is not None
        return reply

    async def room(self) -> None:
        """Waits until few enough results are being saved for the next one."""
        while len(self._running) >= SAVES_AT_ONCE:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _save_held(self, image: StoredImage, picture: Picture) -> Saved:
        try:
            with self._documents.store.hold(image.id):
                async with self._turn:
                    return await self.save(picture, image.name)
        except ImageNotFound as error:
            return Saved(problem=api_error_of(error))

    async def finish(self, timeout_s: float) -> None:
        """Waits for the saves that have begun, for a server that stops."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)
