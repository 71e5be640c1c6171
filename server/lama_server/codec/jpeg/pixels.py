"""JPEG pixels, with proof that no scan was cut. (ITU-T T.81, B.1.1.5, F.2.2 and G.1.)

libjpeg fills what a scan lacks with grey and only warns, and Pillow drops its warnings. But the bytes that it takes
tell where it stands. So each scan is handed over without the marker behind it, followed by bits that are no Huffman
code: a decoder that has all blocks of the scan skips them while it looks for a marker; one that lacks blocks tries to
decode them and waits for more. This costs next to nothing; a second reader of the scans would cost as much as decoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

from PIL import Image, ImageFile

from ...errors import ImageTruncated
from ..source import Bytes
from .markers import Scan

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")

_FILLER = b"\xff\x00" * 8
"""64 bits, all ones: as much as libjpeg reads ahead. The zeros say that these are data, not markers."""

_CHECKED_BYTES = 4096
"""Shorter restart intervals are checked several at a time."""

_BLOCK_BYTES = 2**20


def load(data: Bytes, image: ImageFile.ImageFile, scans: list[Scan]) -> None:
    """Decodes an opened JPEG to what `image.load()` makes of it. Raises `ImageTruncated`, `OSError`.

    A scan that lacks no more than a few blocks at its very end may pass; in trials never more than 24 bytes.
    """
    with closing(_Decoder(image)) as decoder:
        at = 0
        for number, scan in enumerate(scans, 1):
            whole = _has_restarts(data, scan)
            for stop in _stops(data, scan):
                whole = whole and decoder.is_ready_after(data, at, stop)
                at = stop
            if not whole:
                raise ImageTruncated(
                    f"Scan {number} of {len(scans)} of the JPEG ends too early, so part of the picture is missing. "
                    "Copy or download the file again."
                )
        decoder.feed(b"\xff\xd9")
        if not decoder.done:
            raise OSError("libjpeg wants more than all scans")
    image.tile = []


class _Decoder:
    """libjpeg, as Pillow drives it, with its consumption in view."""

    def __init__(self, image: ImageFile.ImageFile) -> None:
        name, extents, _, arguments = image.tile[0]
        image.load_prepare()
        self._decoder = Image._getdecoder(image.mode, name, arguments, image.decoderconfig)
        self._decoder.setimage(image.im, extents)
        self._pending = b""
        self.done = False

    def close(self) -> None:
        self._decoder.cleanup()

    def feed(self, block: bytes) -> bool:
        """Whether all of it was taken, or nothing is wanted any more."""
        if not self.done:
            self._pending += block
            taken, error = self._decoder.decode(self._pending)
            if error:
                raise OSError("libjpeg gave up")
            self.done = taken < 0
            self._pending = b"" if self.done else self._pending[taken:]
        return not self._pending

    def is_ready_after(self, data: Bytes, start: int, stop: int) -> bool:
        """Whether data[start:stop], after all before them, bring the decoder to where a marker must follow.

        One that lacks blocks may happen to take just the filler, but then no single byte, as it reads several ahead.
        """
        for at in range(start, stop, _BLOCK_BYTES):
            self.feed(data[at : min(stop, at + _BLOCK_BYTES)])
        return self.feed(_FILLER) and self.feed(b"\0")


def _has_restarts(data: Bytes, scan: Scan) -> bool:
    """Whether all restart markers stand in the scan, numbered from 0 to 7 in turn."""
    numbers = (found[0][1] % 8 for found in _RESTART.finditer(data, scan.start, scan.end))
    return all(next(numbers, None) == index % 8 for index in range(scan.restarts))


def _stops(data: Bytes, scan: Scan) -> Iterator[int]:
    """Where in a scan a marker stands: at restarts, and at its end."""
    at = scan.start
    while found := _RESTART.search(data, at + _CHECKED_BYTES, scan.end):
        at = found.start()
        yield at
    yield scan.end
