"""Images and edits on disk: content-addressed, written atomically, bounded in size, and still there after a restart.

    ROOT/tmp/RANDOM...                                   whatever is not finished
    ROOT/images/AB/ABCDEF.../original                    the uploaded bytes, named by their SHA-256
                            /info.json                   what the header says, and the name it came under
                            /pixels.npy                  decoded once; can be made again at any time
                            /edits/RANDOM/edit.json      what was asked for: immutable
                                         /patch-0.png    what came out, and -1, -2 ...: immutable
                                         /raster.npy     or all pixels of the canvas that came out: immutable

Everything appears by one rename of a finished file or folder, so a crash at any moment leaves either nothing or all of
it. Edit ids are random: the same request may be run twice and give two results. No path is ever made from what a
client sent; ids are checked to be plain hexadecimal first.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter

from inpaint_models.types import Box

from .. import codec
from ..errors import EditNotFound, EditOnOtherCanvas, ImageNotFound
from ..imaging.pictures import Layer, Overlay, Raster
from ..imaging.pixel_files import create_file, disk_errors
from ..schemas.canvas import CanvasChange, Scale

_IMAGE_ID = re.compile(r"[0-9a-f]{64}\Z")
_EDIT_ID = re.compile(r"[0-9a-f]{32}\Z")
CHANGES: TypeAdapter[CanvasChange] = TypeAdapter(CanvasChange)

_ONLY_PATCH = "patch.png"
"""The file of an edit that was stored by version 0.1, whose edits had one patch."""

_STALE_S = 3600
_PROTECTED_S = 24 * 3600
_MEASURE_EVERY_S = 10


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An uploaded image.

    id    SHA-256 of its bytes, in hexadecimal
    name  under which it was uploaded last; shown and used for saving, never as a path
    """

    id: str
    name: str
    info: codec.ImageInfo


@dataclass(frozen=True, slots=True)
class EditRecord:
    """What an edit was made of.

    image    id of its image
    parents  ids of the edits it was made on, in drawing order
    boxes    where its patches lie; they do not overlap
    request  mask and run, or `canvas`, as they were asked for, for running it again; plain JSON
    raster   (width, height, has alpha) of the canvas, where the edit made all of its pixels anew
    """

    image: str
    parents: tuple[str, ...]
    boxes: tuple[Box, ...]
    request: Mapping[str, Any]
    raster: tuple[int, int, bool] | None = None

    @property
    def change(self) -> CanvasChange | None:
        """What was asked of the canvas."""
        return CHANGES.validate_python(self.request["canvas"]) if "canvas" in self.request else None

    @property
    def makes_canvas(self) -> bool:
        """Whether edits over this one lie on another canvas than those under it."""
        return self.raster is not None or "canvas" in self.request


@dataclass(frozen=True, slots=True)
class StoredEdit:
    """An edit that is on disk."""

    id: str
    record: EditRecord


class ImageStore:
    """The store. One instance per folder and process; every method may be called from any thread.

    root       a folder that belongs to the store alone; it is created
    max_bytes  what it may grow to: then decoded pixels, and after them whole images with their edits, go, those first
               that were used longest ago. What is in use, and images touched by this run within a day, stay even when
               that exceeds the cap: work in progress is worth more than disk space.
    """

    def __init__(self, root: Path, max_bytes: int, limits: codec.ImageLimits | None = None) -> None:
        self._images, self._tmp = root / "images", root / "tmp"
        self._max_bytes, self._limits = max_bytes, limits or codec.ImageLimits()
        self._lock = threading.RLock()
        self._in_use: Counter[str] = Counter()
        self._touched_at: dict[str, float] = {}
        self._image_of_edit: dict[str, str] = {}
        self._measured_at = 0.0
        for folder in (root, self._images, self._tmp):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        self._index()
        self._evict()

    # images

    def receive(self) -> Upload:
        """A place for the bytes of an upload, to be used in a `with`; what is not finished is removed."""
        return Upload(self, self._new_folder())

    def add_image(self, data: bytes | Iterable[bytes], name: str) -> StoredImage:
        """Stores a whole upload. Raises the `ImageError` subclasses, `StoreFull`."""
        with self.receive() as upload:
            for chunk in (data,) if isinstance(data, bytes) else data:
                upload.write(chunk)
            return upload.finish(name)

    def get_image(self, image_id: str) -> StoredImage:
        """Raises `ImageNotFound`."""
        with self._lock:
            image = _read_image(self._folder(image_id))
            if image is None:
                raise ImageNotFound("The server does not hold this image (any more). Upload it again.")
            self._touch(image_id)
            return image

    def original_path(self, image_id: str) -> Path:
        """The uploaded bytes. Raises `ImageNotFound`."""
        self.get_image(image_id)
        return self._folder(image_id) / "original"

    def pixels_path(self, image_id: str) -> Path | None:
        """The decoded pixels as a .npy to be mapped; None when they have to be decoded (again)."""
        self.get_image(image_id)
        path = self._folder(image_id) / "pixels.npy"
        return path if path.exists() else None

    def pixels_target(self, image_id: str) -> Path:
        """Where the codec worker puts the decoded pixels, with `write_pixels`. Raises `ImageNotFound`."""
        self.get_image(image_id)
        return self._folder(image_id) / "pixels.npy"

    def remove_image(self, image_id: str) -> None:
        """Takes an image with its edits away at once, for one that turned out not to decode."""
        with self._lock:
            self._discard(self._folder(image_id))
            self._touched_at.pop(image_id, None)
            self._image_of_edit = {edit: image for edit, image in self._image_of_edit.items() if image != image_id}

    @contextlib.contextmanager
    def hold(self, image_id: str) -> Iterator[StoredImage]:
        """Keeps an image with all its files from being evicted. Raises `ImageNotFound`."""
        with self._lock:
            image = self.get_image(image_id)
            self._in_use[image_id] += 1
        try:
            yield image
        finally:
            with self._lock:
                self._in_use[image_id] -= 1
                self._in_use += Counter()

    # edits

    def add_edit(self, record: EditRecord, patches: Sequence[bytes] = (), raster: Path | None = None) -> StoredEdit:
        """Stores a finished edit; afterwards nothing about it changes.

        patches  files from `codec.encode_patch`, one for each box
        raster   .npy file on the store's disk, which is moved into it

        Raises `ImageNotFound`, `EditNotFound` (for a parent), `StoreFull`.
        """
        with self.hold(record.image):
            self._check_parents(record)
            edit_id = secrets.token_hex(16)
            content = {
                "image": record.image,
                "parents": list(record.parents),
                "boxes": [list(box) for box in record.boxes],
                "request": dict(record.request),
                "raster": record.raster,
            }
            with disk_errors(), self._building() as folder:
                if raster is not None:
                    os.rename(raster, folder / "raster.npy")
                files = {f"patch-{index}.png": patch for index, patch in enumerate(patches)}
                _write_files(folder, {**files, "edit.json": json.dumps(content).encode()})
                _sync_folder(folder)
                edits = self._folder(record.image) / "edits"
                edits.mkdir(mode=0o700, exist_ok=True)
                os.rename(folder, edits / edit_id)
                _sync_folder(edits)
            with self._lock:
                self._image_of_edit[edit_id] = record.image
        self._evict_now_and_then()
        return StoredEdit(edit_id, record)

    def get_edit(self, edit_id: str) -> StoredEdit:
        """Raises `EditNotFound`."""
        data = _read_json(self._edit_folder(edit_id) / "edit.json")
        if data is None:
            raise _no_edit()
        boxes = tuple(Box(*box) for box in (data["boxes"] if "boxes" in data else [data["box"]]))
        raster = tuple(data["raster"]) if data.get("raster") else None
        return StoredEdit(edit_id, EditRecord(data["image"], tuple(data["parents"]), boxes, data["request"], raster))

    def patches(self, edit: StoredEdit) -> tuple[Overlay, ...]:
        """Its patches, in the order of `boxes`. Raises `EditNotFound`."""
        folder = self._edit_folder(edit.id)
        only = folder / _ONLY_PATCH
        if only.exists():
            return (Overlay(only, edit.record.boxes[0]),)
        return tuple(Overlay(folder / f"patch-{index}.png", box) for index, box in enumerate(edit.record.boxes))

    def layers(self, edit: StoredEdit) -> tuple[Layer, ...]:
        """What it lays over the edits under it. Raises `EditNotFound`."""
        change = edit.record.change
        if edit.record.raster is not None:
            return (Raster(self._edit_folder(edit.id) / "raster.npy", *edit.record.raster),)
        if change is not None:
            assert not isinstance(change, Scale), "its raster was stored with it"
            return (change,)
        return self.patches(edit)

    def resolve(self, image_id: str, edits: Iterable[str]) -> tuple[Layer, ...]:
        """The layers of exactly these edits, in this order.

        Raises `EditNotFound`, also for another image's edit, and `EditOnOtherCanvas` where an edit's parents make
        another canvas than the edits that it is to lie over.
        """

        @functools.cache
        def found(edit_id: str) -> StoredEdit:
            edit = self.get_edit(edit_id)
            if edit.record.image != image_id:
                raise _no_edit()
            return edit

        layers: list[Layer] = []
        under: list[str] = []
        canvases: list[str] = []
        for edit_id in dict.fromkeys(edits):
            edit = found(edit_id)
            parents = edit.record.parents
            made_on = [parent for parent in parents if found(parent).record.makes_canvas]
            if made_on != canvases or (edit.record.raster is not None and list(dict.fromkeys(parents)) != under):
                raise EditOnOtherCanvas(
                    f"The edit {edit_id} was made on another canvas. Show it over the changes of the canvas that are "
                    "among its parents, in their order; one that made all pixels anew over all of its parents."
                )
            layers += self.layers(edit)
            under.append(edit_id)
            canvases += [edit_id] if edit.record.makes_canvas else []
        return tuple(layers)

    # size

    def _evict_now_and_then(self) -> None:
        """Measuring the store takes a walk through all of it, so not after every edit."""
        with self._lock:
            if time.monotonic() - self._measured_at >= _MEASURE_EVERY_S:
                self._evict()

    def _evict(self) -> None:
        """Brings the store under its cap, as far as nothing in use is touched."""
        self._measured_at = time.monotonic()
        folders = sorted(self._image_folders(), key=_last_use)
        excess = sum(_size(folder) for folder in folders) - self._max_bytes
        for folder in folders:
            if excess > 0 and not self._in_use[folder.name]:
                excess -= _remove_pixels(folder)
        now = time.monotonic()
        for folder in folders:
            touched = self._touched_at.get(folder.name)
            protected = self._in_use[folder.name] or (touched is not None and now - touched < _PROTECTED_S)
            if excess > 0 and not protected:
                excess -= _size(folder)
                self.remove_image(folder.name)

    # inside

    def _commit(self, folder: Path, digest: str, name: str) -> StoredImage:
        """Called by `Upload.finish`: makes a finished upload visible."""
        info = codec.probe(folder / "original", self._limits)
        with self._lock:
            target = self._folder(digest)
            with disk_errors():
                known = _read_image(target)
                if known is None:
                    self._discard(target)
                    _write_info(folder, name, info)
                    target.parent.mkdir(mode=0o700, exist_ok=True)
                    os.rename(folder, target)
                    _sync_folder(target.parent)
                elif known.name != name:
                    _write_info(target, name, info)
            self._touch(digest)
        self._evict_now_and_then()
        return StoredImage(digest, name, info)

    def _folder(self, image_id: str) -> Path:
        if not _IMAGE_ID.match(image_id):
            raise ImageNotFound("This is no image id: it has to be 64 hexadecimal digits. Upload the image again.")
        return self._images / image_id[:2] / image_id

    def _edit_folder(self, edit_id: str) -> Path:
        if not _EDIT_ID.match(edit_id):
            raise _no_edit()
        with self._lock:
            image_id = self._image_of_edit.get(edit_id)
        if image_id is None:
            raise _no_edit()
        return self._folder(image_id) / "edits" / edit_id

    def _check_parents(self, record: EditRecord) -> None:
        for parent in record.parents:
            if self.get_edit(parent).record.image != record.image:
                raise _no_edit()

    def _touch(self, image_id: str) -> None:
        """Remembers the use; also on disk, so that the order of eviction survives a restart."""
        now, last = time.monotonic(), self._touched_at.get(image_id)
        self._touched_at[image_id] = now
        if last is None or now - last > 1:
            with contextlib.suppress(OSError):
                os.utime(self._folder(image_id) / "info.json")

    def _new_folder(self) -> Path:
        folder = self._tmp / secrets.token_hex(16)
        with disk_errors():
            folder.mkdir(mode=0o700)
        return folder

    @contextlib.contextmanager
    def _building(self) -> Iterator[Path]:
        """A folder that is moved away when it is finished, and removed when it is not."""
        folder = self._new_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _discard(self, folder: Path) -> None:
        """Out of sight in one step, then away."""
        if not folder.exists():
            return
        grave = self._tmp / secrets.token_hex(16)
        with contextlib.suppress(OSError):  # Windows: a file in it is still mapped; the next start removes it
            os.rename(folder, grave)
        shutil.rmtree(grave, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes what a killed process left; young things may belong to another process that is still running."""
        for folder in [*self._tmp.iterdir(), *self._images.glob("*/*/*.part")]:
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _STALE_S:
                    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()

    def _index(self) -> None:
        for folder in self._image_folders():
            for edit in folder.glob("edits/*/edit.json"):
                self._image_of_edit[edit.parent.name] = folder.name

    def _image_folders(self) -> list[Path]:
        return [path for path in self._images.glob("*/*") if _IMAGE_ID.match(path.name)]


class Upload:
    """An upload in progress: bytes go to disk and through the hash as they arrive."""

    def __init__(self, documents: ImageStore, folder: Path) -> None:
        self._documents, self._folder, self._hash = documents, folder, hashlib.sha256()
        self._file = os.fdopen(create_file(folder / "original"), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # closing flushes, and a full disk was reported by then
            self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, chunk: bytes) -> None:
        """Raises `StoreFull`."""
        self._hash.update(chunk)
        with disk_errors():
            self._file.write(chunk)

    def finish(self, name: str) -> StoredImage:
        """Checks the header and stores the image; the same bytes again are the same image.

        Raises the `ImageError` subclasses, `StoreFull`.
        """
        with disk_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._documents._commit(self._folder, self._hash.hexdigest(), name)


def _write_info(folder: Path, name: str, info: codec.ImageInfo) -> None:
    content = json.dumps({"name": name, "info": info.to_json()}).encode()
    part = folder / f"{secrets.token_hex(16)}.part"
    try:
        _write_file(part, content)
        os.replace(part, folder / "info.json")
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(folder)


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Side by side, so that a journal writes them together: 16 patches take 12 ms instead of 50 (ext4)."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: _write_file(folder / name, files[name]), files))


def _write_file(path: Path, data: bytes) -> None:
    with os.fdopen(create_file(path), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes renames inside it durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_image(folder: Path) -> StoredImage | None:
    """None when there is none, or its record cannot be understood."""
    data = _read_json(folder / "info.json")
    try:
        return None if data is None else StoredImage(folder.name, data["name"], codec.ImageInfo.from_json(data["info"]))
    except (KeyError, TypeError):
        return None


def _read_json(path: Path) -> dict[str, Any] | None:
    """None when there is none, or one that cannot be understood: written by another version, or damaged."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _size(folder: Path) -> int:
    """Bytes of all files below; a file that goes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _last_use(folder: Path) -> float:
    try:
        return (folder / "info.json").stat().st_mtime
    except OSError:
        return 0.0


def _remove_pixels(folder: Path) -> int:
    """Bytes gained; 0 when they are not there, or are mapped on a system that then refuses."""
    path = folder / "pixels.npy"
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError:
        return 0
    return size


def _no_edit() -> EditNotFound:
    return EditNotFound("The server does not hold this edit (any more). Run it again.")
