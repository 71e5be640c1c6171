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
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter

from inpaint_models.types import Box
from inpaint_models.weights.disk import sync_folder

from .. import codec
from ..errors import EditNotFound, EditOnOtherCanvas, ImageNotFound
from ..errors.disk import disk_errors
from ..imaging.pictures import Layer, Overlay, Raster
from ..imaging.pixel_files import create_file
from ..schemas.canvas import CanvasChange, Scale
from . import roots
from .space import Scratch, Space, remove_tree, tree_bytes

_IMAGE_ID = re.compile(r"[0-9a-f]{64}\Z")
_EDIT_ID = re.compile(r"[0-9a-f]{32}\Z")
CHANGES: TypeAdapter[CanvasChange] = TypeAdapter(CanvasChange)

_ONLY_PATCH = "patch.png"
"""The file of an edit that was stored by version 0.1, whose edits had one patch."""

_STALE_S = 3600
_PROTECTED_S = 600

_WRITERS = 8
"""Files that are written side by side, so that a journal takes them together: 16 patches take 12 ms instead of 50 on
ext4. Their threads are kept, since to start one takes longer than to write a small file."""


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


def new_edit_id() -> str:
    return secrets.token_hex(16)


class ImageStore:
    """The store. One instance per folder and process; every method may be called from any thread.

    root            a folder that belongs to the store alone; it is made, also when it is deleted later
    max_bytes       what it may take, work under way included: then decoded pixels, and after them whole images with
                    their edits, go, those first that were used longest ago. What is in use, and images touched by this
                    run within the last minutes, stay; where that is too much, nothing more is taken in.
    min_free_bytes  what is to stay free on its disk, by the same means
    """

    def __init__(
        self, root: Path, max_bytes: int, limits: codec.ImageLimits | None = None, min_free_bytes: int = 0
    ) -> None:
        root = root.resolve()
        self._images, self._tmp = root / "images", root / "tmp"
        self._limits, self._run = limits or codec.ImageLimits(), secrets.token_hex(4)
        self._lock, self._writers = threading.RLock(), ThreadPoolExecutor(_WRITERS, "store-write")
        self._in_use: Counter[str] = Counter()
        self._touched_at: dict[str, float] = {}
        self._image_of_edit: dict[str, str] = {}
        self._make_folders()
        self._index()
        self.space = Space(root, max_bytes, min_free_bytes, self._shrink)

    def check(self) -> None:
        """Raises `RootUnavailable`, `StoreFull` when nothing could be taken in now."""
        with disk_errors():
            self._make_folders()
            roots.check_writable(self._tmp)
        self.space.take(0)

    # images

    def receive(self) -> Upload:
        """A place for the bytes of an upload, to be used in a `with`; what is not finished is removed.

        Raises `RootUnavailable`.
        """
        return Upload(self, self.scratch())

    def scratch(self) -> Scratch:
        """A private folder for work under way, on the store's disk. Raises `RootUnavailable`, `StoreFull`."""
        with disk_errors():
            self._make_folders()
        return Scratch(self._tmp / (self._run + secrets.token_hex(16)), self.space)

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
                raise _no_image()
            self._touch(image_id)
            return image

    def original_path(self, image_id: str) -> Path:
        """The uploaded bytes. Raises `ImageNotFound`."""
        self._use(image_id)
        return self._folder(image_id) / "original"

    def pixels_path(self, image_id: str) -> Path | None:
        """The decoded pixels as a .npy to be mapped; None when they have to be decoded (again)."""
        self._use(image_id)
        path = self._folder(image_id) / "pixels.npy"
        return path if path.exists() else None

    def add_pixels(self, image_id: str, scratch: Scratch) -> Path:
        """Keeps decoded pixels: the .npy file that is the scratch folder's result. Raises `RootUnavailable`."""
        target = self._folder(image_id) / "pixels.npy"
        with disk_errors():
            scratch.keep(scratch.result, target)
        return target

    def holds_image(self, image_id: str) -> bool:
        """Raises `ImageNotFound` for what is no id."""
        return (self._folder(image_id) / "info.json").exists()

    def remove_image(self, image_id: str) -> None:
        """Takes an image with its edits away at once, for one that turned out not to decode."""
        with self._lock:
            remove_tree(self._folder(image_id), self._tmp)
            self._touched_at.pop(image_id, None)
            self._image_of_edit = {edit: image for edit, image in self._image_of_edit.items() if image != image_id}

    @contextlib.contextmanager
    def hold(self, image_id: str) -> Iterator[None]:
        """Keeps an image with all its files from being evicted. Raises `ImageNotFound`."""
        with self._lock:
            self._use(image_id)
            self._in_use[image_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_use[image_id] -= 1
                self._in_use += Counter()

    # edits

    def add_edit(
        self, record: EditRecord, patches: Sequence[bytes] = (), raster: Path | None = None, edit_id: str = ""
    ) -> StoredEdit:
        """Stores a finished edit; afterwards nothing about it changes.

        patches  files from `codec.encode_patch`, one for each box
        raster   .npy file on the store's disk, which is moved into it; whoever made it has set room aside for it
        edit_id  from `new_edit_id`, where it had to be known before

        Raises `ImageNotFound`, `EditNotFound` (for a parent), `StoreFull`, `RootUnavailable`.
        """
        with self.hold(record.image):
            self._check_parents(record)
            edit_id = edit_id or new_edit_id()
            content = {field.name: getattr(record, field.name) for field in fields(record)}
            files = {f"patch-{index}.png": patch for index, patch in enumerate(patches)}
            files["edit.json"] = json.dumps(content).encode()
            with disk_errors(), self.scratch() as scratch:
                scratch.take(sum(map(len, files.values())))
                if raster is not None:
                    os.rename(raster, scratch.path / "raster.npy")
                self._write_files(scratch.path, files)
                sync_folder(scratch.path)
                edits = self._folder(record.image) / "edits"
                edits.mkdir(mode=0o700, exist_ok=True)
                scratch.keep(scratch.path, edits / edit_id)
                sync_folder(edits)
            with self._lock:
                self._image_of_edit[edit_id] = record.image
        return StoredEdit(edit_id, record)

    def get_edit(self, edit_id: str) -> StoredEdit:
        """Raises `EditNotFound`."""
        data = _read_json(self._edit_folder(edit_id) / "edit.json")
        if data is None:
            raise _no_edit()
        return StoredEdit(edit_id, record_of(data))

    def holds_edit(self, edit_id: str) -> bool:
        """Raises `EditNotFound` for what is no id."""
        if not _EDIT_ID.match(edit_id):
            raise _no_edit()
        with self._lock:
            known = edit_id in self._image_of_edit
        return known and (self._edit_folder(edit_id) / "edit.json").exists()

    def edit_files(self, edit: StoredEdit) -> list[Path]:
        """All that it consists of, its record last. Raises `EditNotFound`."""
        return sorted(self._edit_folder(edit.id).iterdir(), key=lambda path: path.name == "edit.json")

    def remove_edit(self, edit: StoredEdit) -> None:
        """Takes away an edit that nothing was made on yet."""
        with self._lock, contextlib.suppress(EditNotFound):
            remove_tree(self._edit_folder(edit.id), self._tmp)
            self._image_of_edit.pop(edit.id, None)

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

    def _shrink(self, max_bytes: int, only_pixels: bool) -> int:
        """Removes what may go until the store takes no more than that; returns how much it takes then.

        What a killed process left counts too, and goes when it is old. This one's own work is counted by `Scratch`.
        """
        self._sweep()
        folders = sorted(self._image_folders(), key=_last_use)
        total = sum(tree_bytes(folder) for folder in [*folders, *self._foreign()])
        for folder in folders:
            with self._lock:
                if total > max_bytes and not self._in_use[folder.name]:
                    total -= _remove_pixels(folder)
        for folder in () if only_pixels else folders:
            with self._lock:
                if total > max_bytes and not self._is_protected(folder.name):
                    total -= tree_bytes(folder)
                    self.remove_image(folder.name)
        return total

    def _is_protected(self, image_id: str) -> bool:
        touched = self._touched_at.get(image_id)
        return self._in_use[image_id] > 0 or (touched is not None and time.monotonic() - touched < _PROTECTED_S)

    # inside

    def _commit(self, scratch: Scratch, digest: str, name: str) -> StoredImage:
        """Called by `Upload.finish`: makes a finished upload visible, if its pixels will have room."""
        with disk_errors():
            info = codec.probe(scratch.path / "original", self._limits)
        target = self._folder(digest)
        if not (target / "pixels.npy").exists():
            scratch.take(info.pixel_bytes)
        with self._lock, disk_errors():
            known = _read_image(target)
            if known is None:
                remove_tree(target, self._tmp)
                _write_info(scratch.path, name, info)
                target.parent.mkdir(mode=0o700, exist_ok=True)
                scratch.keep(scratch.path, target)
                sync_folder(target.parent)
            elif known.name != name:
                _write_info(target, name, info)
            self._touch(digest)
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

    def _use(self, image_id: str) -> None:
        """As `get_image`, without reading what is known of it."""
        with self._lock:
            if not self.holds_image(image_id):
                raise _no_image()
            self._touch(image_id)

    def _touch(self, image_id: str) -> None:
        """Remembers the use; also on disk, so that the order of eviction survives a restart."""
        now, last = time.monotonic(), self._touched_at.get(image_id)
        self._touched_at[image_id] = now
        if last is None or now - last > 1:
            with contextlib.suppress(OSError):
                os.utime(self._folder(image_id) / "info.json")

    def _write_files(self, folder: Path, files: Mapping[str, bytes]) -> None:
        list(self._writers.map(_write_file, [folder / name for name in files], files.values()))

    def _make_folders(self) -> None:
        """Also again, when they were deleted meanwhile. Raises `OSError`, also for a link on their path."""
        for folder in (self._images, self._tmp):
            roots.make_root(folder)

    def _sweep(self) -> None:
        """Removes what a killed process left; young things may belong to another process that is still running."""
        for folder in [*self._foreign(), *self._images.glob("*/*/*.part")]:
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _STALE_S:
                    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()

    def _foreign(self) -> list[Path]:
        """Work under way, or left behind, of other processes."""
        return [path for path in self._tmp.glob("*") if not path.name.startswith(self._run)]

    def _index(self) -> None:
        for folder in self._image_folders():
            for edit in folder.glob("edits/*/edit.json"):
                self._image_of_edit[edit.parent.name] = folder.name

    def _image_folders(self) -> list[Path]:
        return [path for path in self._images.glob("*/*") if _IMAGE_ID.match(path.name)]


class Upload:
    """An upload in progress: bytes go to disk and through the hash as they arrive."""

    def __init__(self, documents: ImageStore, scratch: Scratch) -> None:
        self._documents, self.scratch, self._hash = documents, scratch, hashlib.sha256()
        self._written = 0
        with disk_errors():
            self._file = os.fdopen(create_file(scratch.path / "original"), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # closing flushes, and a full disk was reported by then
            self._file.close()
        self.scratch.close()

    def has_room(self, chunk: bytes) -> bool:
        """Whether what was set aside is enough for this one as well."""
        return self._written + len(chunk) <= self.scratch.taken_bytes

    def write(self, chunk: bytes) -> None:
        """Raises `StoreFull`, `RootUnavailable`."""
        if not self.has_room(chunk):
            self.scratch.take(len(chunk))
        self._hash.update(chunk)
        self._written += len(chunk)
        with disk_errors():
            self._file.write(chunk)

    @property
    def digest(self) -> str:
        """Of what was written so far: the image's id, once it is all."""
        return self._hash.hexdigest()

    def finish(self, name: str) -> StoredImage:
        """Checks the header and stores the image; the same bytes again are the same image.

        Raises the `ImageError` subclasses, `StoreFull`, `RootUnavailable`.
        """
        with disk_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._documents._commit(self.scratch, self.digest, name)


def record_of(data: Mapping[str, Any]) -> EditRecord:
    """What an edit.json holds."""
    boxes = tuple(Box(*box) for box in (data["boxes"] if "boxes" in data else [data["box"]]))
    raster = tuple(data["raster"]) if data.get("raster") else None
    return EditRecord(data["image"], tuple(data["parents"]), boxes, data["request"], raster)


def _write_info(folder: Path, name: str, info: codec.ImageInfo) -> None:
    content = json.dumps({"name": name, "info": info.to_json()}).encode()
    part = folder / f"{secrets.token_hex(16)}.part"
    try:
        _write_file(part, content)
        os.replace(part, folder / "info.json")
    finally:
        part.unlink(missing_ok=True)
    sync_folder(folder)


def _write_file(path: Path, data: bytes) -> None:
    with os.fdopen(create_file(path), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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


def _no_image() -> ImageNotFound:
    return ImageNotFound("The server does not hold this image (any more). Upload it again.")


def _no_edit() -> EditNotFound:
    return EditNotFound("The server does not hold this edit (any more). Run it again.")
