"""Images and edits in an S3-compatible object store; the folder of each server is a cache of it.

    PREFIX/images/ABCDEF.../original        the uploaded bytes, named by their SHA-256
                            info.json       the name they came under
    PREFIX/edits/RANDOM/patch-0.png ...     as `ImageStore` has them
                        raster.npy
                        edit.json           written last: without it there is no edit

Nothing is changed after it was written but the name of an image, so that servers need no lock among them. Nothing is
removed either: how long objects stay is a lifecycle rule of the bucket. A photo that is uploaded again is written
again, which begins its time anew; a server that has it may go on showing an older name.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from ..errors import ImageError, ImageNotFound, StoreError, StoreFull, StoreUnavailable
from ..errors.disk import disk_errors
from ..imaging.pixel_files import create_file
from ..settings import Limits
from .image_store import ImageStore, StoredEdit, StoredImage, record_of
from .space import Scratch

DoneT = TypeVar("DoneT")

_AT_ONCE = 16
"""Objects that one server reads or writes side by side."""

_CHUNK_BYTES = 2**20
_RETRY_AFTER_S = 5
_CONNECT_S = 3
_PROBE_S = 1.5
"""Less than the patience of /readyz, which would take a store that is silent for a folder."""

_CODE = re.compile(r"<Code>(\w+)</Code>")
_FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity"}
"""Codes of a store that takes nothing more: Ceph's, MinIO's and others'."""

log = logging.getLogger(__name__)


class ObjectKeeper:
    """A bucket, or what lies below a prefix of it. To be used by one event loop.

    address  s3://BUCKET/PREFIX; endpoint, region and keys are those of the AWS_ variables
    store    the folder that is its cache
    """

    def __init__(self, address: str, store: ImageStore, limits: Limits) -> None:
        self._store, self._deadline_s = store, limits.store_deadline_s
        self._objects = _opened(address, limits.store_deadline_s, limits.store_retry_s)
        self._probed = _opened(address, _PROBE_S, 0)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def check(self) -> None:
        """Raises `StoreUnavailable`."""
        with contextlib.suppress(FileNotFoundError), _store_errors():
            obstore.get(self._probed, "probe")

    # images

    async def fetch_image(self, image_id: str) -> None:
        async with self._turn(image_id):
            if self._store.holds_image(image_id):
                return
            with contextlib.suppress(FileNotFoundError):
                named = json.loads(await self._read(f"images/{image_id}/info.json"))
                await self._receive(image_id, str(named["name"]))

    async def _receive(self, image_id: str, name: str) -> None:
        """Raises `StoreUnavailable` for bytes that are not those of the id."""
        with self._store.receive() as upload:
            async with contextlib.aclosing(self._stream(f"images/{image_id}/original")) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(upload.write, chunk)
            if upload.digest != image_id:
                raise StoreUnavailable("The stored photo is damaged. Upload it again.")
            try:
                await asyncio.to_thread(upload.finish, name)
            except ImageError as error:  # taken in by a server that takes larger ones
                raise ImageNotFound(f"This server cannot use the image: {error.detail}") from error

    async def keep_image(self, image: StoredImage) -> None:
        folder, info = f"images/{image.id}", json.dumps({"name": image.name}).encode()
        await self._write(f"{folder}/original", self._store.original_path(image.id))
        await self._write(f"{folder}/info.json", info)

    # edits

    async def fetch_edits(self, edit_ids: Iterable[str]) -> None:
        missing = [edit_id for edit_id in dict.fromkeys(edit_ids) if not self._store.holds_edit(edit_id)]
        await _all(self._fetch_edit(edit_id) for edit_id in missing)

    async def _fetch_edit(self, edit_id: str) -> None:
        async with self._turn(edit_id):
            if self._store.holds_edit(edit_id):
                return
            with contextlib.suppress(FileNotFoundError):
                record = record_of(json.loads(await self._read(f"edits/{edit_id}/edit.json")))
                await self.fetch_image(record.image)
                await self.fetch_edits(record.parents)
                names = [f"edits/{edit_id}/patch-{index}.png" for index in range(len(record.boxes))]
                patches = await _all(self._read(name) for name in names)
                with self._store.hold(record.image), self._store.scratch() as scratch:
                    raster = None if record.raster is None else scratch.result
                    if raster is not None:
                        await self._download(f"edits/{edit_id}/raster.npy", raster, scratch)
                    await asyncio.to_thread(self._store.add_edit, record, patches, raster, edit_id)

    async def keep_edit(self, edit: StoredEdit) -> None:
        try:
            folder = f"edits/{edit.id}"
            *files, record = self._store.edit_files(edit)
            await _all(self._write(f"{folder}/{file.name}", file) for file in files)
            await self._write(f"{folder}/{record.name}", record)
        except BaseException:
            self._store.remove_edit(edit)
            raise

    # objects

    async def _read(self, key: str) -> bytes:
        async with self._slot():
            return bytes(await (await obstore.get_async(self._objects, key)).bytes_async())

    async def _stream(self, key: str) -> AsyncGenerator[bytes, None]:
        async with self._slot():
            found = await obstore.get_async(self._objects, key)
            async for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    async def _download(self, key: str, target: Path, scratch: Scratch) -> None:
        with disk_errors(), os.fdopen(create_file(target), "wb") as file:
            async with contextlib.aclosing(self._stream(key)) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(scratch.take, len(chunk))
                    await asyncio.to_thread(file.write, chunk)

    async def _write(self, key: str, content: bytes | Path) -> None:
        async with self._slot():
            await obstore.put_async(self._objects, key, content)

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """For one object, waiting included. What the store says becomes an error of ours; `FileNotFoundError` stays."""
        with _store_errors():
            async with asyncio.timeout(self._deadline_s), self._slots:
                yield

    @contextlib.asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """One at a time fetches the same thing: the next one finds it in the folder."""
        lock = self._turns.setdefault(name, asyncio.Lock())
        async with lock:
            yield


def _opened(address: str, deadline_s: float, retry_s: float) -> S3Store:
    endpoint = next(filter(None, map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))), "")
    return S3Store.from_url(
        address,
        config={"endpoint": endpoint} if endpoint else {},
        client_options={
            "timeout": timedelta(seconds=deadline_s),
            "connect_timeout": timedelta(seconds=min(_CONNECT_S, deadline_s)),
            "allow_http": endpoint.startswith("http://"),
        },
        retry_config={"max_retries": 100 if retry_s else 0, "retry_timeout": timedelta(seconds=retry_s)},
    )


async def _all(work: Iterable[Coroutine[None, None, DoneT]]) -> list[DoneT]:
    """Side by side; the first that fails ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" not in str(error):
            raise
        raise _refusal(error) from error
    except (BaseError, OSError) as error:  # TimeoutError is one
        raise _refusal(error) from error


def _refusal(error: Exception) -> StoreError:
    """The store's own code goes out with it, but no address."""
    found = _CODE.search(str(error))
    code = found[1] if found else type(error).__name__
    log.warning("the object store: %s", str(error).partition("\n")[0])
    if code in _FULL:
        return StoreFull("The object store of photos and edits is full. Free some space, or raise its quota.")
    return StoreUnavailable(
        f"The object store of photos and edits cannot be used ({code}). What was stored is not lost: try again in a "
        "moment.",
        retry_after=_RETRY_AFTER_S,
    )
