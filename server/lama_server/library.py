"""Photos and edits as routes see them: the store on disk and the codec worker behind one door.

Pixels never pass through the web process: uploads are written to disk as they come, decoded by the codec worker into a
raw array beside them, and read from there by whoever needs a part.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile

from .codec.info import Limits as CodecLimits
from .engine.messages import (
    DecodeImage,
    DecodeMask,
    Filled,
    ImageFacts,
    MakePreview,
    Overlay,
    Picture,
    Rendered,
    RenderImage,
)
from .engine.supervisor import Supervisor
from .errors import EditNotFound, ImageNotFound, SaveFailed
from .problems import ProblemError
from .schemas import EditRequest, ImageReply, RenderFormat, Run
from .settings import Limits, Settings

COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A stored photo."""

    id: str
    name: str
    size_bytes: int
    info: Mapping[str, Any]
    source: Path
    pixels: Path

    @property
    def width(self) -> int:
        return int(self.info["width"])

    @property
    def height(self) -> int:
        return int(self.info["height"])

    def reply(self) -> ImageReply:
        return ImageReply(
            id=self.id,
            name=self.name,
            width=self.width,
            height=self.height,
            format=self.info["format"],
            bit_depth=self.info["bit_depth"],
            has_alpha=self.info["has_alpha"],
            icc=self.info["has_icc"],
            size_bytes=self.size_bytes,
        )


@dataclass(frozen=True, slots=True)
class MadeBy:
    """How a fill came about."""

    model: str
    seed: int
    ms: int
    strategy: str


@dataclass(frozen=True, slots=True)
class EditRecord:
    """A stored edit."""

    id: str
    image: str
    parents: tuple[str, ...]
    model: str
    seed: int
    strategy: str
    ms: int
    x: int
    y: int
    width: int
    height: int
    png: Path

    @property
    def overlay(self) -> Overlay:
        return Overlay(self.png, self.x, self.y, self.width, self.height)


class Library:
    """The photos and edits of one data folder."""

    def __init__(self, settings: Settings, limits: Limits, codec: Supervisor) -> None:
        self.root = settings.resolved_data_dir()
        self.max_side_px = CodecLimits().max_side
        self._settings, self._limits, self._codec = settings, limits, codec
        self._pending = 0
        for name in ("images", "edits", "tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    # photos

    async def spool(self, chunks: AsyncIterator[bytes]) -> tuple[Path, str]:
        """Writes a body to a file as it comes. Returns (the file, its SHA-256)."""
        path, digest = self.temporary(), hashlib.sha256()
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path, digest.hexdigest()

    async def add_image(self, spooled: tuple[Path, str], name: str) -> tuple[ImageRecord, bool]:
        """(the photo, whether it is new). Takes the spooled file over."""
        source, image_id = spooled
        try:
            return await self.image(image_id), False
        except ImageNotFound:
            pass
        folder = Path(tempfile.mkdtemp(dir=self.root / "tmp"))
        source.rename(folder / "source")
        try:
            facts: ImageFacts = await self.decode(folder / "source", folder / "pixels.npy")
            record = {"name": name, "size": (folder / "source").stat().st_size, "info": dict(facts.info)}
            (folder / "record.json").write_text(json.dumps(record))
            target = self.root / "images" / image_id
            if not target.exists():
                folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return await self.image(image_id), True

    async def add_file(self, path: Path) -> ImageRecord:
        async def chunks() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while chunk := file.read(COPY_BYTES):
                    yield chunk

        return (await self.add_image(await self.spool(chunks()), path.name))[0]

    async def image(self, image_id: str) -> ImageRecord:
        folder = self.root / "images" / image_id
        if not image_id.isalnum() or not (folder / "record.json").exists():
            raise ImageNotFound("The server does not have this image. Send it again.")
        record = json.loads((folder / "record.json").read_text())
        return ImageRecord(
            image_id, record["name"], record["size"], record["info"], folder / "source", folder / "pixels.npy"
        )

    # edits

    async def edit(self, edit_id: str) -> EditRecord:
        folder = self.root / "edits" / edit_id
        if not edit_id.isalnum() or not (folder / "record.json").exists():
            raise EditNotFound("The server does not have this edit. Run it again.")
        record = json.loads((folder / "record.json").read_text())
        return EditRecord(id=edit_id, png=folder / "patch.png", **{**record, "parents": tuple(record["parents"])})

    async def picture(self, image: ImageRecord, edits: Sequence[str]) -> Picture:
        records = [await self.edit(edit) for edit in edits]
        return Picture(image.source, image.pixels, image.info, tuple(record.overlay for record in records))

    async def add_edit(
        self, image: ImageRecord, request: EditRequest, run: Run, filled: Filled, made: MadeBy
    ) -> EditRecord:
        edit_id = uuid.uuid4().hex
        folder = Path(tempfile.mkdtemp(dir=self.root / "tmp"))
        (folder / "patch.png").write_bytes(filled.png)
        record = {
            "image": image.id,
            "parents": list(request.parents),
            **asdict(made),
            "x": filled.x,
            "y": filled.y,
            "width": filled.width,
            "height": filled.height,
        }
        (folder / "record.json").write_text(json.dumps(record))
        folder.rename(self.root / "edits" / edit_id)
        return await self.edit(edit_id)

    # pictures

    async def decode(self, source: Path, pixels: Path) -> ImageFacts:
        """Decodes in the codec worker. Raises image problems, queue.full."""
        facts: ImageFacts = await self.in_codec(DecodeImage(source, pixels))
        return facts

    async def render(
        self, image: ImageRecord, edits: Sequence[str], wanted: RenderFormat, quality: int | None
    ) -> tuple[Path, Rendered]:
        """(a temporary file, what it is)."""
        target = self.temporary()
        return target, await self.render_to(target, await self.picture(image, edits), wanted, quality)

    async def render_to(self, target: Path, picture: Picture, wanted: RenderFormat, quality: int | None) -> Rendered:
        """Encodes a picture to a file. Without a quality, the source's own holds where its format is kept."""
        if quality is None and wanted not in ("keep", picture.info["format"]):
            quality = self._settings.quality
        rendered: Rendered = await self.in_codec(
            RenderImage(picture, wanted, quality, self._settings.strip_metadata, target)
        )
        return rendered

    async def preview(self, image: ImageRecord, max_side: int) -> tuple[Path, Rendered]:
        """(a temporary file, what it is)."""
        target = self.temporary()
        picture = Picture(image.source, image.pixels, image.info)
        return target, await self.in_codec(MakePreview(picture, max_side, target))

    async def save(self, picture: Picture, name: str, folder: Path) -> str:
        """Renders the picture in its own format into the folder, under a name that is free. Returns that name."""
        target = self.temporary()
        rendered = await self.render_to(target, picture, "keep", None)
        stem = Path(name).stem or "image"
        for number in range(10_000):
            path = folder / (f"{stem}-{number:04d}{rendered.suffix}" if number else f"{stem}{rendered.suffix}")
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            shutil.move(target, path)
            return path.name
        raise SaveFailed("There is no free name.")

    def temporary(self) -> Path:
        """A name for a temporary file on the store's disk."""
        return self.root / "tmp" / uuid.uuid4().hex

    def workspace(self) -> Workspace:
        """A private folder for a request that keeps nothing."""
        return Workspace(self, Path(tempfile.mkdtemp(dir=self.root / "tmp")))

    async def in_codec(self, request: Any) -> Any:
        """The codec worker's answer. Raises image problems, queue.full."""
        if self._pending > self._limits.uploads_waiting:
            raise ProblemError("queue.full", "Too many photos are being opened. Try again in a moment.", retry_after=2)
        self._pending += 1
        try:
            return await self._codec.run(request, deadline_s=self._limits.codec_deadline_s)
        finally:
            self._pending -= 1


class Workspace:
    """A photo and a mask that are forgotten after one request."""

    def __init__(self, library: Library, folder: Path) -> None:
        self._library, self._folder = library, folder
        self._source, self.pixels, self.mask = folder / "source", folder / "pixels.npy", folder / "mask.npy"
        self._mask_source, self.target = folder / "mask", folder / "result"
        self._picture: Picture | None = None

    @property
    def picture(self) -> Picture:
        assert self._picture is not None
        return self._picture

    async def put_image(self, upload: UploadFile) -> None:
        """Decodes the photo. Raises image problems."""
        await asyncio.to_thread(_copy, upload, self._source)
        await self._decode_image()

    async def put_image_bytes(self, data: bytes) -> None:
        """As `put_image`."""
        await asyncio.to_thread(self._source.write_bytes, data)
        await self._decode_image()

    async def put_mask(self, upload: UploadFile) -> None:
        """Decodes the mask. Raises image problems, mask.size_mismatch."""
        await asyncio.to_thread(_copy, upload, self._mask_source)
        await self._decode_mask()

    async def put_mask_bytes(self, data: bytes) -> None:
        """As `put_mask`."""
        await asyncio.to_thread(self._mask_source.write_bytes, data)
        await self._decode_mask()

    async def _decode_image(self) -> None:
        facts = await self._library.decode(self._source, self.pixels)
        self._picture = Picture(self._source, self.pixels, facts.info)

    async def _decode_mask(self) -> None:
        info = self.picture.info
        await self._library.in_codec(DecodeMask(self._mask_source, self.mask, info["width"], info["height"]))

    async def apply(self, filled: Filled) -> None:
        """Lays a patch over the photo."""
        png = self._folder / "patch.png"
        await asyncio.to_thread(png.write_bytes, filled.png)
        overlay = Overlay(png, filled.x, filled.y, filled.width, filled.height)
        self._picture = Picture(self._source, self.pixels, self.picture.info, (overlay,))

    async def render(self, wanted: RenderFormat, quality: int | None) -> Rendered:
        """Encodes the picture to `target`."""
        return await self._library.render_to(self.target, self.picture, wanted, quality)

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _copy(upload: UploadFile, target: Path) -> None:
    upload.file.seek(0)
    with target.open("wb") as file:
        shutil.copyfileobj(upload.file, file, COPY_BYTES)
