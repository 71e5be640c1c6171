"""What of a JPEG's metadata goes along when its picture was edited: nothing that may show what was removed.

Segments of unknown kinds are left out, as many hold previews, depth maps or further pictures. (JFIF 1.02; CIPA DC-008;
XMP, part 3; Photoshop File Formats, "Image Resource Blocks".)
"""

from __future__ import annotations

import struct

from .. import exif
from .markers import ADOBE, COM, EXIF, ICC, JFIF, XMP

_PHOTOSHOP = b"Photoshop 3.0\0"
_PLAIN_JFIF = JFIF + b"\1\2\0\0\1\0\1"
_RESOURCES = {0x03ED, 0x0404, 0x040A, 0x040B, 0x0425}
"""Resolution, IPTC, copyright flag, URL and IPTC's checksum."""


def kept(marker: int, payload: bytes, orientation: int, *, strip: bool) -> bytes | None:
    """The payload of a segment as it goes into the result; None leaves the segment out.

    strip  only what is needed to show the picture
    """
    if marker == 0xE0 and payload.startswith(JFIF) and len(payload) >= 14:
        return (_PLAIN_JFIF if strip else payload[:12]) + bytes(2)
    if marker == 0xE1 and payload.startswith(EXIF):
        block = None if strip else exif.without_pictures(payload[len(EXIF) :])
        block = block or exif.only_orientation(orientation)
        return EXIF + block if block else None
    if (marker == 0xE2 and payload.startswith(ICC)) or (marker == 0xEE and payload.startswith(ADOBE)):
        return payload
    if strip and (0xE0 <= marker <= 0xEF or marker == COM):
        return None
    if marker == 0xE1 and payload.startswith(XMP):
        return XMP + exif.xmp_without_pictures(payload[len(XMP) :])
    if marker == 0xED and payload.startswith(_PHOTOSHOP):
        return _without_thumbnails(payload)
    return None if 0xE0 <= marker <= 0xEF else payload


def _without_thumbnails(payload: bytes) -> bytes | None:
    """The image resources that are known to hold no picture; None where there are none."""
    out, at = b"", len(_PHOTOSHOP)
    while at + 7 <= len(payload) and payload[at : at + 4] == b"8BIM":
        name_end = at + 6 + (payload[at + 6] | 1) + 1
        if name_end + 4 > len(payload):
            break
        number, size = struct.unpack_from(">H", payload, at + 4)[0], struct.unpack_from(">I", payload, name_end)[0]
        end = name_end + 4 + size + size % 2
        if number in _RESOURCES and name_end + 4 + size <= len(payload):
            out += payload[at:end]
        at = end
    return _PHOTOSHOP + out if out else None
