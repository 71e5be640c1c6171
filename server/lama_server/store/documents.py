"""Photos and edits as routes see them: the store on disk and the codec worker behind one door.

Pixels never pass through the web process: uploads are written to disk as they come, decoded by the codec worker into a
raw array beside them, and read from there by whoever needs a part.
"""

from __future__ import annotations

import asyncio
import functools
import io
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar, get_args

from starlette.datastructures import UploadFile

from inpaint_models.types import Box

from .. import codec
from ..errors import ImageError, QueueFull
from ..errors.disk import disk_errors
from ..imaging.brush_masks import Operation
from ..imaging.pictures import Overlay, Picture, Raster, shown_info
from ..schemas.base import RenderFormat
from ..schemas.canvas import Scale
from ..schemas.requests import CanvasRequest, EditRequest
from ..settings import Limits, Settings
from ..workers.messages import (
    AdjustMask,
    AnswerT,
    Codec,
    CropPicture,
    DecodeImage,
    DecodeMask,
    Filled,
    MakePreview,
    MakeThumbnail,
    MaskOfAlpha,
    Remade,
    Rendered,
    RenderImage,
    Request,
    ScalePicture,
)
from ..workers.supervisor import Supervisor
from . import saving
from .image_store import EditRecord, ImageStore, StoredEdit, StoredImage
from .keepers import keeper_for
from .space import Scratch

COPY_BYTES = 1 << 20

MadeT = TypeVar("MadeT")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MadeBy:
    """How a result came about. `params` as they were on the wire; seed and strategy are those of a fill."""

    model: str
    params: Mapping[str, object]
    ms: int
    seed: int | None = None
    strategy: str | None = None


class Documents:
    """The photos and edits of one data folder, and of the object store behind it, where there is one."""

    def __init__(self, settings: Settings, limits: Limits, worker: Supervisor[Codec]) -> None:
        self.root = settings.resolved_data_dir()
        self.codec_limits = codec.ImageLimits(max_pixels=settings.max_megapixels * 1_000_000)
        self.store = ImageStore(self.root, settings.data_cap * 2**20, self.codec_limits, settings.min_free * 2**20)
        self.keeper = keeper_for(settings, limits, self.store)
        self._settings, self._limits, self._worker = settings, limits, worker
        self._pending = 0
        self._decoding: dict[str, asyncio.Lock] = {}

    # photos

    async def add_image(self, chunks: AsyncIterator[bytes], name: str, size_bytes: int = 0) -> StoredImage:
        """Stores an upload as it comes and decodes it.

        size_bytes  how many will come, as far as is known; room for them is set aside before they do

        Raises the image problems, `StoreFull`, `RootUnavailable`, `QueueFull`.
        """
        self.check_room()
        with self.store.receive() as upload:
            await asyncio.to_thread(upload.scratch.take, size_bytes)
            async for chunk in chunks:
                if not upload.has_room(chunk):
                    await asyncio.to_thread(upload.scratch.take, max(COPY_BYTES, len(chunk)))
                upload.write(chunk)
            image = await asyncio.to_thread(upload.finish, name)
        await self._decoded(image)
        await self.keeper.keep_image(image)
        return image

    async def add_file(self, path: Path) -> StoredImage:
        """As `add_image`, for a file of this machine."""
        with path.open("rb") as file:
            return await self.add_stream(file, path.name, path.stat().st_size)

    async def add_stream(self, stream: BinaryIO, name: str, size_bytes: int) -> StoredImage:
        """As `add_image`, for an open file."""

        async def chunks() -> AsyncIterator[bytes]:
            while chunk := await asyncio.to_thread(stream.read, COPY_BYTES):
                yield chunk

        return await self.add_image(chunks(), name, size_bytes)

    async def image(self, image_id: str) -> StoredImage:
        """Raises `ImageNotFound`."""
        await self.keeper.fetch_image(image_id)
        return self.store.get_image(image_id)

    def original_bytes(self, image: StoredImage) -> int:
        """Size of the uploaded file."""
        with disk_errors():
            return self.store.original_path(image.id).stat().st_size

    async def picture(self, image: StoredImage, edits: Sequence[str]) -> Picture:
        """The photo with edits over it, ready for a worker.

        Raises `EditNotFound`, `EditOnOtherCanvas`, and what decoding raises.
        """
        await self.keeper.fetch_edits(edits)
        pixels = await self._decoded(image)
        return Picture(self.store.original_path(image.id), pixels, image.info, self.store.resolve(image.id, edits))

    async def _decoded(self, image: StoredImage) -> Path:
        """The decoded pixels, made again when they were dropped. An image that does not decode is removed."""
        async with self._decoding.setdefault(image.id, asyncio.Lock()):
            pixels = self.store.pixels_path(image.id)
            if pixels is None:
                try:
                    with self.store.hold(image.id), self.store.scratch() as scratch:
                        await asyncio.to_thread(scratch.take, image.info.pixel_bytes)
                        await self.in_codec(DecodeImage(self.store.original_path(image.id), scratch.result))
                        pixels = self.store.add_pixels(image.id, scratch)
                except ImageError:
                    self.store.remove_image(image.id)
                    raise
                finally:
                    self._decoding.pop(image.id, None)
        return pixels

    # edits

    async def edit(self, edit_id: str) -> StoredEdit:
        """Its image and parents are there then as well. Raises `EditNotFound`."""
        await self.keeper.fetch_edits([edit_id])
        return self.store.get_edit(edit_id)

    async def joined_patch(self, edit: StoredEdit) -> Scratch:
        """A file: all of an edit's patches as one, with what lies between them. Raises `QueueFull`, `StoreFull`."""
        image, around = self.store.get_image(edit.record.image), functools.reduce(Box.union, edit.record.boxes)

        async def crop(target: Path) -> None:
            picture = await self.picture(image, (*edit.record.parents, edit.id))
            await self.in_codec(CropPicture(picture, around, target))

        return (await self._made(image, crop))[0]

    def shown(self, edit: StoredEdit) -> codec.ImageInfo:
        """What the photo is with an edit over its parents. Raises `ImageNotFound`, `EditNotFound`."""
        record = edit.record
        return shown_info(
            self.store.get_image(record.image).info, self.store.resolve(record.image, (*record.parents, edit.id))
        )

    async def add_edit(
        self, image: StoredImage, request: EditRequest, filled: Filled, made: MadeBy, edit_id: str
    ) -> StoredEdit:
        """Stores a finished fill under an id from `new_edit_id`. Raises `StoreFull`."""
        assert request.mask is not None
        asked = {"mask": request.mask.model_dump(mode="json"), "strategy": request.strategy, **_described(made)}
        record = EditRecord(image.id, tuple(request.parents), tuple(p.box for p in filled.patches), asked)
        files = [patch.png for patch in filled.patches]
        return await self._kept(record, files, edit_id=edit_id)

    async def add_remade(
        self, image: StoredImage, request: EditRequest, pixels: Path, remade: Remade, made: MadeBy
    ) -> StoredEdit:
        """Stores a canvas that was made anew; its `pixels` are moved. Raises `StoreFull`."""
        size = remade.width, remade.height, remade.has_alpha
        record = EditRecord(image.id, tuple(request.parents), (), _described(made), size)
        return await self._kept(record, raster=pixels)

    async def change_canvas(self, image: StoredImage, request: CanvasRequest, picture: Picture) -> StoredEdit:
        """Stores a change of the canvas that the parents make, the `picture`. Raises `StoreFull`."""
        began, change, raster = time.monotonic(), request.canvas, None
        with self.store.scratch() as scratch:
            if isinstance(change, Scale):
                raster = change.width, change.height, picture.shown.has_alpha
                info = replace(picture.shown, width=change.width, height=change.height)
                await asyncio.to_thread(scratch.take, info.pixel_bytes)
                await self.in_codec(ScalePicture(picture, change.width, change.height, scratch.result))
            made = {"ms": round(1000 * (time.monotonic() - began))}
            asked = {"canvas": change.model_dump(mode="json"), "made": made}
            record = EditRecord(image.id, tuple(request.parents), (), asked, raster)
            return await self._kept(record, raster=scratch.result if raster else None)

    async def _kept(
        self, record: EditRecord, patches: Sequence[bytes] = (), raster: Path | None = None, edit_id: str = ""
    ) -> StoredEdit:
        """As `ImageStore.add_edit`, and wherever else edits are kept."""
        with self.store.hold(record.image):
            edit = await asyncio.to_thread(self.store.add_edit, record, patches, raster, edit_id)
            await self.keeper.keep_edit(edit)
        return edit

    # pictures

    async def render(
        self, image: StoredImage, edits: Sequence[str], wanted: RenderFormat, quality: int | None
    ) -> tuple[Scratch, Rendered]:
        """(what holds the file, what it is). Raises `QueueFull`, `StoreFull`."""

        async def encode(target: Path) -> Rendered:
            return await self.render_to(target, await self.picture(image, edits), wanted, quality)

        return await self._made(image, encode)

    async def render_to(self, target: Path, picture: Picture, wanted: RenderFormat, quality: int | None) -> Rendered:
        """Encodes a picture to a file. Without a quality, the source's own holds where its format is kept."""
        if quality is None and wanted not in ("keep", picture.info.format):
            quality = self._settings.quality
        request = RenderImage(picture, wanted, quality, self._settings.strip_metadata, target)
        rendered = await self.in_codec(request)
        if rendered.reencoded:
            log.info("a JPEG was encoded anew: %s", rendered.reencoded)
        return rendered

    async def preview(self, image: StoredImage, edits: Sequence[str], max_side: int) -> tuple[Scratch, Rendered]:
        """(what holds the file, what it is). Raises `QueueFull`, `StoreFull`."""

        async def encode(target: Path) -> Rendered:
            return await self.in_codec(MakePreview(await self.picture(image, edits), max_side, target))

        return await self._made(image, encode)

    async def save(self, picture: Picture, name: str, folder: Path) -> tuple[str, Rendered]:
        """Renders the picture in its own format into the folder. Returns the free name that it got, and what it is."""
        with self.store.scratch() as scratch:
            rendered = await self.render_to(scratch.result, picture, "keep", None)
            with disk_errors():
                data = await asyncio.to_thread(scratch.result.read_bytes)
            min_free_bytes = self._settings.min_free * 2**20
            saved = await asyncio.to_thread(
                saving.save_new, folder, Path(name).stem, rendered.suffix, data, min_free_bytes
            )
            return saved, rendered

    async def _made(self, image: StoredImage, make: Callable[[Path], Awaitable[MadeT]]) -> tuple[Scratch, MadeT]:
        """A file made of a photo, which counts until whoever gets it closes what holds it. Nothing stays on failure."""
        self.check_room()
        scratch = await self._scratch_with_room()
        try:
            with self.store.hold(image.id):
                made = await make(scratch.result)
            with disk_errors():
                scratch.count(scratch.result.stat().st_size)
        except BaseException:
            scratch.close()
            raise
        return scratch, made

    async def _scratch_with_room(self, size_bytes: int = 0) -> Scratch:
        """One for so many bytes, and for files whose size is not known yet. Raises `StoreFull`, `RootUnavailable`."""
        scratch = self.store.scratch()
        try:
            await asyncio.to_thread(scratch.take, size_bytes)
        except BaseException:
            scratch.close()
            raise
        return scratch

    async def workspace(self, body_bytes: int) -> Workspace:
        """A private folder for a request that keeps nothing. Raises `StoreFull`, `RootUnavailable`.

        body_bytes  of the request, as far as is known: a form lies on the disk as it came beside what is made of it
        """
        return Workspace(self, await self._scratch_with_room(body_bytes))

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
    """A photo, masks and pictures beside it that are forgotten after one request."""

    def __init__(self, documents: Documents, scratch: Scratch) -> None:
        self._documents, self._scratch, self.folder = documents, scratch, scratch.path
        self._source, self.pixels, self.target = self.folder / "source", self.folder / "pixels.npy", scratch.result
        self.remade = self.folder / "remade.npy"
        self._picture: Picture | None = None
        self._masks: dict[MaskName, Path] = {}
        self.pictures: dict[str, Picture] = {}

    @property
    def picture(self) -> Picture:
        """The photo as it is now; there is none before `put_image`."""
        if self._picture is None:
            raise RuntimeError("put_image comes first")
        return self._picture

    async def take(self, size_bytes: int) -> None:
        """Sets room aside for what is still to come. Raises `StoreFull`."""
        await asyncio.to_thread(self._scratch.take, size_bytes)

    async def put_image(self, upload: UploadFile | bytes) -> None:
        """Decodes the photo. Raises image problems, `QueueFull`, `StoreFull`, `RootUnavailable`."""
        self._documents.check_room()
        self._picture = await self._decoded(upload, self._source, self.pixels)

    async def put_picture(self, name: str, upload: UploadFile | bytes) -> codec.ImageInfo:
        """Decodes a picture that a model takes beside the photo, under its parameter's name. Raises as `put_image`."""
        encoded, decoded = self.folder / f"picture-{name}", self.folder / f"picture-{name}.npy"
        self.pictures[name] = await self._decoded(upload, encoded, decoded)
        return self.pictures[name].info

    async def _decoded(self, upload: UploadFile | bytes, encoded: Path, decoded: Path) -> Picture:
        info = await asyncio.to_thread(self._received, upload, encoded)
        await self.take(info.pixel_bytes)
        info = await self._documents.in_codec(DecodeImage(encoded, decoded, durable=False))
        return Picture(encoded, decoded, info)

    @property
    def mask_files(self) -> Iterator[Path | None]:
        """The mask and where to copy from, in the order of `MaskName`; None for what was not put."""
        return (self._masks.get(name) for name in get_args(MaskName))

    async def put_mask(self, upload: UploadFile | bytes, name: MaskName = "mask") -> None:
        """Decodes a mask. Raises image problems, `MaskSizeWrong`, `StoreFull`, `RootUnavailable`."""
        encoded, decoded = self.folder / name, self.folder / f"{name}.npy"
        await asyncio.to_thread(self._write, upload, encoded)
        info = self.picture.info
        await self.take(info.width * info.height)
        await self._documents.in_codec(DecodeMask(encoded, decoded, info.width, info.height))
        self._masks[name] = decoded

    async def apply(self, filled: Filled) -> None:
        """Lays patches over the photo."""
        overlays = []
        for index, patch in enumerate(filled.patches):
            png = self.folder / f"patch-{index}.png"
            await asyncio.to_thread(self._write, patch.png, png)
            overlays.append(Overlay(png, patch.box))
        self._picture = self.picture.with_layers(overlays)

    async def crop(self, box: Box) -> None:
        """Writes a part of the picture to `target` as a PNG at the picture's own depth, grey where it is."""
        await self._make(CropPicture(self.picture, box, self.target))

    def replace_pixels(self, remade: Remade) -> None:
        """Lays the pixels in the file `remade` over the photo."""
        self._picture = self.picture.with_layers([Raster(self.remade, remade.width, remade.height, remade.has_alpha)])

    async def adjust_mask(self, upload: bytes, operation: Operation, radius_px: int) -> None:
        """Writes a mask of any size, changed, to `target` as a PNG in the colour of IOPaint's brush."""
        self._documents.check_room()
        source = self.folder / "mask"
        await asyncio.to_thread(self._write, upload, source)
        await self._make(AdjustMask(source, operation, radius_px, self.target))

    async def mask_of_alpha(self, radius_px: int) -> None:
        """As `adjust_mask`, of what the picture's alpha shows, grown."""
        await self._make(MaskOfAlpha(self.picture, radius_px, self.target))

    async def thumbnail(self, stream: BinaryIO, width: int, height: int) -> Rendered:
        """Writes a picture, made as small as that, to `target`; a width or height of 0 follows the other."""
        self._documents.check_room()
        await asyncio.to_thread(self._write, stream, self._source)
        return await self._make(MakeThumbnail(self._source, width, height, self.target))

    async def render(self, wanted: RenderFormat, quality: int | None) -> Rendered:
        """Encodes the picture to `target`."""
        rendered = await self._documents.render_to(self.target, self.picture, wanted, quality)
        self._count_target()
        return rendered

    async def _make(self, request: Request[Codec, AnswerT]) -> AnswerT:
        """The codec worker's answer to a request that writes `target`."""
        answer = await self._documents.in_codec(request)
        self._count_target()
        return answer

    def _count_target(self) -> None:
        with disk_errors():
            self._scratch.count(self.target.stat().st_size)

    def close(self) -> None:
        self._scratch.close()

    def _received(self, upload: UploadFile | bytes, target: Path) -> codec.ImageInfo:
        """What the file's header says."""
        self._write(upload, target)
        with disk_errors():
            return codec.probe(target, self._documents.codec_limits)

    def _write(self, upload: UploadFile | BinaryIO | bytes, target: Path) -> None:
        if isinstance(upload, bytes):
            source: BinaryIO = io.BytesIO(upload)
        else:
            source = upload.file if isinstance(upload, UploadFile) else upload
        self._scratch.take(source.seek(0, os.SEEK_END))
        source.seek(0)
        with disk_errors(), target.open("xb") as file:
            shutil.copyfileobj(source, file, COPY_BYTES)
