"""The records that describe an image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inpaint_models.types import Box, PixelSource

SourceFormat = Literal["png", "jpeg", "webp", "bmp", "tiff", "gif", "avif", "heic"]
WantedFormat = Literal["keep", "png", "jpeg", "webp", "tiff"]

ALL_FORMATS: frozenset[SourceFormat] = frozenset(get_args(SourceFormat))

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3) RGB or (H, W, 4) RGBA, as a viewer shows it: after the EXIF rotation."""


PEAK_BYTES_PER_PIXEL = 56
"""Memory that reading or writing a photo takes at the most: TIFF of floating point with alpha, uncompressed."""

_CLOCKWISE = {1: 6, 6: 3, 3: 8, 8: 1, 2: 7, 7: 4, 4: 5, 5: 2}
"""Orientation -> the one whose picture is turned by another quarter."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image file may be. Checked on headers, before a pixel is decoded.

    max_pixels          width times height
    max_side, min_side  of width and height
    max_metadata_bytes  EXIF, ICC, XMP and text together, unpacked
    max_scans           of a progressive JPEG; each costs a pass over the whole picture
    formats             what is accepted at all
    """

    max_pixels: int = 128_000_000
    max_side: int = 32_768
    min_side: int = 16
    max_metadata_bytes: int = 8 * 2**20
    max_scans: int = 100
    formats: frozenset[SourceFormat] = ALL_FORMATS


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the page and the writer need to know of an image file; small, and JSON both ways.

    width, height  as shown, after the EXIF rotation
    orientation    the file's EXIF orientation, 1 to 8; 1 = stored as shown
    bit_depth      8 or 16, of the decoded pixels
    is_grey        one colour channel in the file, so results are written with one again
    has_icc        carries a usable ICC profile that describes the decoded pixels
    converted_from a word for the colours that were left on decoding, such as "CMYK" or "float"; None = none were
    lossless       False for JPEG and HEIC, and for WebP and AVIF that were stored with loss
    """

    format: SourceFormat
    width: int
    height: int
    orientation: int
    bit_depth: Literal[8, 16]
    has_alpha: bool
    is_grey: bool
    has_icc: bool
    converted_from: str | None
    lossless: bool

    @property
    def channels(self) -> int:
        return 4 if self.has_alpha else 3

    @property
    def pixel_bytes(self) -> int:
        """Of the decoded pixels."""
        return self.width * self.height * self.channels * self.bit_depth // 8

    @property
    def browsers_agree(self) -> bool:
        """Whether a browser that decodes the file itself shows these pixels in this frame.

        If not, a page has to show `preview` instead. Most browsers read no TIFF and no HEIC, turn CMYK into RGB in
        ways of their own, and leave a WebP as it is stored (tried with Chromium 156, which turns JPEG, PNG and AVIF).
        """
        turned_webp = self.format == "webp" and self.orientation > 1
        return self.format not in ("tiff", "heic") and self.converted_from != "CMYK" and not turned_webp

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "browsers_agree": self.browsers_agree}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ImageInfo:
        """Raises `KeyError` when a field is missing; ignores what it does not know."""
        return cls(**{field.name: data[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Metadata:
    """What travels from the source file into a result.

    icc             the profile that describes the decoded pixels; None = sRGB, or as `colour_chunks` say
    exif            a TIFF structure, without the "Exif" prefix
    xmp             an XML packet
    dpi             (horizontal, vertical), as stored: before the EXIF rotation
    comment         of a JPEG
    text_chunks     of a PNG, verbatim: (type, data)
    colour_chunks   of a PNG, verbatim: gAMA, cHRM, sRGB, cICP
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    comment: bytes | None = None
    text_chunks: tuple[tuple[bytes, bytes], ...] = ()
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def icc_is_grey(self) -> bool:
        return self.icc is not None and icc_colour_space(self.icc) == "GRAY"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image file."""

    pixels: Pixels
    info: ImageInfo


@dataclass(frozen=True, slots=True)
class Edited:
    """What was done to a photo whose canvas is as it was.

    original, pixels  (H, W, C), as shown; alike outside the boxes
    """

    original: PixelSource
    pixels: PixelSource
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A result as a file.

    patched    the file of a JPEG, in which only blocks that the edit touched were changed
    reencoded  why a JPEG had to be encoded anew, though it was one before; else ""
    """

    data: bytes
    patched: bool = False
    reencoded: str = ""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A format that results are written in."""

    name: Literal["png", "jpeg", "webp", "tiff", "bmp"]
    suffix: str
    media_type: str
    lossless: bool


OUTPUTS: dict[str, OutputFormat] = {
    "png": OutputFormat("png", ".png", "image/png", True),
    "jpeg": OutputFormat("jpeg", ".jpg", "image/jpeg", False),
    "webp": OutputFormat("webp", ".webp", "image/webp", False),
    "tiff": OutputFormat("tiff", ".tif", "image/tiff", True),
    "bmp": OutputFormat("bmp", ".bmp", "image/bmp", True),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a format's parser reads without decoding: sizes as stored, before the EXIF rotation."""

    format: SourceFormat
    width: int
    height: int
    bit_depth: Literal[8, 16]
    has_alpha: bool
    is_grey: bool
    metadata: Metadata
    converted_from: str | None = None
    lossless: bool = True


SOURCE_TYPES: dict[SourceFormat, str] = {name: f"image/{name}" for name in get_args(SourceFormat)}
"""Media types."""

SUFFIXES: dict[str, SourceFormat] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jfif": "jpeg",
    ".mpo": "jpeg",
    ".webp": "webp",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".gif": "gif",
    ".avif": "avif",
    ".heic": "heic",
    ".heif": "heic",
}
"""What counts as an image in a folder. Afterwards only the bytes count."""


def turned(orientation: int, quarter_turns: int) -> int:
    """The orientation of a picture that is shown turned clockwise once more."""
    for _ in range(quarter_turns):
        orientation = _CLOCKWISE[orientation]
    return orientation


def icc_colour_space(profile: bytes) -> str | None:
    """ "RGB", "GRAY", "CMYK", "Lab" ...; None when it is no ICC profile (ICC.1, section 7.2)."""
    if len(profile) < 128 or profile[36:40] != b"acsp":
        return None
    return profile[16:20].decode("latin-1").strip()


def usable_icc(profile: bytes | None, *, is_grey: bool) -> bytes | None:
    """The profile, when it describes pixels of this kind; a wrong one would make every viewer guess."""
    wanted = "GRAY" if is_grey else "RGB"
    return profile if profile is not None and icc_colour_space(profile) == wanted else None
