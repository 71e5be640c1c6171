"""Photos and edits as routes see them: the store on disk and the codec worker behind one door.

Pixels never pass through the web process: uploads are written to disk as they come, decoded by the codec worker into a
raw array beside them, and read from there by whoever needs a part.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from starlette.datastructures import UploadFile

from inpaint_models.types import Box

from .. import codec
from ..errors import ImageError, QueueFull
from ..imaging.pictures import Layer, Overlay, Picture, shown_info
from ..schemas.base import RenderFormat
from ..schemas.canvas import Scale
from ..schemas.requests import CanvasRequest, EditRequest
from ..settings import Limits, Settings
from ..workers.messages import (
    AnswerT,
    Codec,
    CropPicture,
    DecodeImage,
    DecodeMask,
    Filled,
    MakePreview,
    Remade,
    Rendered,
    RenderImage,
    Request,
    ScalePicture,
)
from ..workers.supervisor import Supervisor
from . import saving
from .image_store import EditRecord, ImageStore, StoredEdit, StoredImage

COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MadeBy:
    """How a result came about. `params` as they were on the wire; seed and strategy are those of a fill."""

    model: str
    params: Mapping[str, object]
    ms: int
    seed: int | None = None
    strategy: str | None = None


class Documents:
    """The photos and edits of one data folder."""

    def __init__(self, settings: Settings, limits: Limits, worker: Supervisor[Codec]) -> None:
        self.root = settings.resolved_data_dir()
        self.codec_limits = codec.ImageLimits(max_pixels=settings.max_megapixels * 1_000_000)
        self._store = ImageStore(self.root, settings.data_cap * 2**20, self.codec_limits)
        self._settings, self._limits, self._worker = settings, limits, worker
        self._pending = 0
        self._decoding: dict[str, asyncio.Lock] = {}

    # photos

    async def add_image(self, chunks: AsyncIterator[bytes], name: str) -> StoredImage:
        """Stores an upload as it comes and decodes it. Raises the image problems, `StoreFull`, `QueueFull`."""
        self.check_room()
        with self._store.receive() as upload:
            async for chunk in chunks:
                upload.write(chunk)
            image = await asyncio.to_thread(upload.finish, name)
        await self._decoded(image)
        return image

    async def add_file(self, path: Path) -> StoredImage:
        """As `add_image`, for a file of this machine."""

        async def chunks() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while chunk := file.read(COPY_BYTES):
                    yield chunk

        return await self.add_image(chunks(), path.name)

    def image(self, image_id: str) -> StoredImage:
        """Raises `ImageNotFound`."""
        return self._store.get_image(image_id)

    def original_bytes(self, image: StoredImage) -> int:
        """Size of the uploaded file."""
        return self._store.original_path(image.id).stat().st_size

    def hold(self, image: StoredImage) -> AbstractContextManager[StoredImage]:
        """Keeps a photo and its edits from being evicted."""
        return self._store.hold(image.id)

    async def picture(self, image: StoredImage, edits: Sequence[str]) -> Picture:
        """The photo with edits over it, ready for a worker.

        Raises `EditNotFound`, `EditOnOtherCanvas`, and what decoding raises.
        """
        pixels = await self._decoded(image)
        return Picture(self._store.original_path(image.id), pixels, image.info, self._store.resolve(image.id, edits))

    async def _decoded(self, image: StoredImage) -> Path:
        """The decoded pixels, made again when they were dropped. An image that does not decode is removed."""
        async with self._decoding.setdefault(image.id, asyncio.Lock()):
            pixels = self._store.pixels_path(image.id)
            if pixels is None:
                pixels = self._store.pixels_target(image.id)
                try:
                    with self.hold(image):
                        await self.in_codec(DecodeImage(self._store.original_path(image.id), pixels))
                except ImageError:
                    self._store.remove_image(image.id)
                    raise
                finally:
                    self._decoding.pop(image.id, None)
        return pixels

    # edits

    def edit(self, edit_id: str) -> StoredEdit:
        """Raises `EditNotFound`."""
        return self._store.get_edit(edit_id)

    def patches(self, edit: StoredEdit) -> tuple[Overlay, ...]:
        """The files of an edit's patches. Raises `EditNotFound`."""
        return self._store.patches(edit)

    async def joined_patch(self, edit: StoredEdit) -> Path:
        """A temporary file: all of an edit's patches as one, with what lies between them. Raises `QueueFull`."""
        self.check_room()
        target, image = self.temporary(), self.image(edit.record.image)
        with self.hold(image):
            picture = await self.picture(image, (*edit.record.parents, edit.id))
            await self.in_codec(CropPicture(picture, functools.reduce(Box.union, edit.record.boxes), target))
        return target

    def shown(self, edit: StoredEdit) -> codec.ImageInfo:
        """What the photo is with an edit over its parents. Raises `ImageNotFound`, `EditNotFound`."""
        record = edit.record
        return shown_info(self.image(record.image).info, self._store.resolve(record.image, (*record.parents, edit.id)))

    async def add_edit(self, image: StoredImage, request: EditRequest, filled: Filled, made: MadeBy) -> StoredEdit:
        """Stores a finished fill. Raises `StoreFull`."""
        assert request.mask is not None
        asked = {"mask": request.mask.model_dump(mode="json"), "strategy": request.strategy, **_described(made)}
        record = EditRecord(image.id, tuple(request.parents), tuple(p.box for p in filled.patches), asked)
        return await asyncio.to_thread(self._store.add_edit, record, [patch.png for patch in filled.patches])

    async def add_remade(
        self, image: StoredImage, request: EditRequest, pixels: Path, remade: Remade, made: MadeBy
    ) -> StoredEdit:
        """Stores a canvas that was made anew; its `pixels` are moved. Raises `StoreFull`."""
        size = remade.width, remade.height, remade.has_alpha
        record = EditRecord(image.id, tuple(request.parents), (), _described(made), size)
        return await asyncio.to_thread(self._store.add_edit, record, (), pixels)

    async def change_canvas(self, image: StoredImage, request: CanvasRequest, picture: Picture) -> StoredEdit:
        """Stores a change of the canvas that the parents make, the `picture`. Raises `StoreFull`."""
        began, change, raster = time.monotonic(), request.canvas, None
        target = self.temporary()
        try:
            if isinstance(change, Scale):
                await self.in_codec(ScalePicture(picture, change.width, change.height, target))
                raster = change.width, change.height, picture.shown.has_alpha
            made = {"ms": round(1000 * (time.monotonic() - began))}
            asked = {"canvas": change.model_dump(mode="json"), "made": made}
            record = EditRecord(image.id, tuple(request.parents), (), asked, raster)
            return await asyncio.to_thread(self._store.add_edit, record, (), target if raster else None)
        finally:
            target.unlink(missing_ok=True)

    def layers(self, edit: StoredEdit) -> tuple[Layer, ...]:
        """What an edit lays over its parents. Raises `EditNotFound`."""
        return self._store.layers(edit)

    # pictures

    async def render(
        self, image: StoredImage, edits: Sequence[str], wanted: RenderFormat, quality: int | None
    ) -> tuple[Path, Rendered]:
        """(a temporary file, what it is). Raises `QueueFull`."""
        self.check_room()
        with self.hold(image):
            target = self.temporary()
            return target, await self.render_to(target, await self.picture(image, edits), wanted, quality)

    async def render_to(self, target: Path, picture: Picture, wanted: RenderFormat, quality: int | None) -> Rendered:
        """Encodes a picture to a file. Without a quality, the source's own holds where its format is kept."""
        if quality is None and wanted not in ("keep", picture.info.format):
            quality = self._settings.quality
        return await self.in_codec(RenderImage(picture, wanted, quality, self._settings.strip_metadata, target))

    async def preview(self, image: StoredImage, edits: Sequence[str], max_side: int) -> tuple[Path, Rendered]:
        """(a temporary file, what it is). Raises `QueueFull`."""
        self.check_room()
        with self.hold(image):
            target = self.temporary()
            return target, await self.in_codec(MakePreview(await self.picture(image, edits), max_side, target))

    async def save(self, picture: Picture, name: str, folder: Path) -> str:
        """Renders the picture in its own format into the folder, under a name that is free. Returns that name."""
        target = self.temporary()
        try:
            rendered = await self.render_to(target, picture, "keep", None)
            data = await asyncio.to_thread(target.read_bytes)
            return await asyncio.to_thread(saving.save_new, folder, Path(name).stem, rendered.suffix, data)
        finally:
            target.unlink(missing_ok=True)

    def temporary(self) -> Path:
        """A name for a temporary file on the store's disk; what a crash leaves there is swept by the store."""
        return self.root / "tmp" / secrets.token_hex(16)

    def workspace(self) -> Workspace:
        """A private folder for a request that keeps nothing."""
        folder = self.temporary()
        folder.mkdir(mode=0o700)
        return Workspace(self, folder)

    async def in_codec(self, request: Request[Codec, AnswerT]) -> AnswerT:
        """The codec worker's answer. Raises image problems."""
        self._pending += 1
        try:
            return await self._worker.run(request, deadline_s=self._limits.codec_deadline_s)
        finally:
            self._pending -= 1

    def check_room(self) -> None:
        """Raises `QueueFull`. Asked before work begins: what is under way, such as a save, is never turned away."""
        if self._pending > self._limits.uploads_waiting:
            raise QueueFull("Too many photos are being opened. Try again in a moment.", retry_after=2)


def _described(made: MadeBy) -> dict[str, object]:
    """Of a record."""
    return {
        "run": {"model": made.model, "params": dict(made.params), "seed": made.seed},
        "made": {"ms": made.ms, "strategy": made.strategy},
    }


MaskName = Literal["mask", "source_include", "source_exclude"]


class Workspace:
    """A photo and a mask that are forgotten after one request."""

    def __init__(self, documents: Documents, folder: Path) -> None:
        self._documents, self._folder = documents, folder
        self._source, self.pixels, self.target = folder / "source", folder / "pixels.npy", folder / "result"
        self._picture: Picture | None = None

    @property
    def picture(self) -> Picture:
        """The photo as it is now; there is none before `put_image`."""
        if self._picture is None:
            raise RuntimeError("put_image comes first")
        return self._picture

    async def put_image(self, upload: UploadFile | bytes) -> None:
        """Decodes the photo. Raises image problems, `QueueFull`."""
        self._documents.check_room()
        await asyncio.to_thread(_write, upload, self._source)
        facts = await self._documents.in_codec(DecodeImage(self._source, self.pixels))
        self._picture = Picture(self._source, self.pixels, facts.info)

    @property
    def mask_files(self) -> Iterator[Path | None]:
        """The mask and where to copy from, in the order of `MaskName`; None for what was not put."""
        paths = (self._folder / f"{name}.npy" for name in get_args(MaskName))
        return (path if path.exists() else None for path in paths)

    async def put_mask(self, upload: UploadFile | bytes, name: MaskName = "mask") -> None:
        """Decodes a mask. Raises image problems, `MaskSizeWrong`."""
        encoded, decoded = self._folder / name, self._folder / f"{name}.npy"
        await asyncio.to_thread(_write, upload, encoded)
        info = self.picture.info
        await self._documents.in_codec(DecodeMask(encoded, decoded, info.width, info.height))

    async def apply(self, filled: Filled) -> None:
        """Lays patches over the photo."""
        overlays = []
        for index, patch in enumerate(filled.patches):
            png = self._folder / f"patch-{index}.png"
            await asyncio.to_thread(png.write_bytes, patch.png)
            overlays.append(Overlay(png, patch.box))
        self._picture = self.picture.with_layers(overlays)

    async def render(self, wanted: RenderFormat, quality: int | None) -> Rendered:
        """Encodes the picture to `target`."""
        return await self._documents.render_to(self.target, self.picture, wanted, quality)

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _write(upload: UploadFile | bytes, target: Path) -> None:
    if isinstance(upload, bytes):
        target.write_bytes(upload)
        return
    upload.file.seek(0)
    with target.open("wb") as file:
        shutil.copyfileobj(upload.file, file, COPY_BYTES)
