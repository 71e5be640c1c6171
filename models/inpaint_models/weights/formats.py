"""What kind of checkpoint a file is, told from its bytes and never from its name. Nothing in it is interpreted here."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import PurePosixPath
from typing import BinaryIO, Literal

from ..errors import UnsafeWeights, WeightsCorrupted

Format = Literal["safetensors", "torchscript", "zip pickle", "legacy pickle"]

SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt")
"""Endings under which people keep checkpoints, the safest first."""

ONNX = ".onnx"

_TEXTS = (".txt", ".md")
"""Vocabularies and licences."""

MAX_HEADER_BYTES = 25_000_000
"""Longest safetensors header that is read; the largest model here needs 200 KiB."""

_ZIP = b"PK\x03\x04"
_END = struct.Struct("<4s4H2LH")
_WIDE_ENDS = struct.Struct("<4sQ4x2L4Q4sLQL")
"""The end record of a zip, and what stands before it in zip64: another one and its locator (APPNOTE 4.3.14 to 16)."""

_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""What torch.save wrote before 1.6: a pickle of the number 0x1950a86a20f9469cfc6c."""


def check_content(handle: BinaryIO, name: str) -> None:
    """As `format_of`, and for networks in ONNX and the small files that lie beside weights: JSON must be JSON."""
    if name.endswith(ONNX):
        _check_onnx(handle, name)
    elif name.endswith(".json"):
        handle.seek(0)
        try:
            json.load(handle)
        except (ValueError, RecursionError) as error:
            raise WeightsCorrupted(f"{name} is no JSON ({error}). Delete it and download it again.") from error
    elif not name.endswith(_TEXTS):
        format_of(handle, name)


def format_of(handle: BinaryIO, name: str) -> Format:
    """The kind of an open file; leaves the position at 0.

    Raises `WeightsCorrupted` for what is no checkpoint at all and `UnsafeWeights` for archives and pickles of
    another making, because those can carry code or name files outside.
    """
    handle.seek(0)
    start = handle.read(512)
    handle.seek(0)
    if not start:
        raise WeightsCorrupted(f"{name} is empty. Delete it and download it again.")
    if start.startswith(_ZIP):
        return _format_of_zip(handle, name)
    if start.startswith(_LEGACY_TORCH):
        return "legacy pickle"
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        raise UnsafeWeights(
            f"{name} is a Python pickle that was not written by torch.save. Reading it could run code, so it is "
            "refused. Convert it to .safetensors on a machine where you trust it."
        )
    _check_safetensors_header(handle, name, start)
    return "safetensors"


def _format_of_zip(handle: BinaryIO, name: str) -> Format:
    names = [PurePosixPath(member.filename) for member in members_of(handle, name)]
    if any("code" in path.parts[:-1] or path.name == "constants.pkl" for path in names):
        return "torchscript"
    if any(path.name == "data.pkl" for path in names):
        return "zip pickle"
    inside = next((path.name for path in names if path.suffix in SUFFIXES), None)
    hint = f"Unpack it and use {inside}." if inside else "It holds no checkpoint."
    raise UnsafeWeights(f"{name} is a zip archive and not a checkpoint. {hint}")


_DOS_FOLDER = 0x10
"""The attribute of a folder, in the directory of a zip."""


_PLAIN_FLAGS = 0x808
"""Of a member: its name is UTF-8, its size follows its data. Others mean that it is encrypted or patched."""


def members_of(handle: BinaryIO, name: str) -> list[zipfile.ZipInfo]:
    """What a zip as torch.save writes it holds; leaves the position at 0. Raises `WeightsCorrupted`, `UnsafeWeights`.

    torch reads it again with a parser of its own. So that both see the same, whatever one of them could understand
    differently is refused.
    """
    try:
        archive = zipfile.ZipFile(handle)
        plain = _ends_plainly(handle, archive.start_dir, len(archive.infolist()))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise WeightsCorrupted(f"{name} is cut off or damaged ({error}). Download it again.") from error
    finally:
        handle.seek(0)
    if not plain:
        raise UnsafeWeights(
            f"{name} was not written by torch.save: something stands before, in or behind its zip archive, so that two "
            "programs could read different things from it. Refused."
        )
    _check_member_names(archive.infolist(), name)
    return archive.infolist()


def _ends_plainly(handle: BinaryIO, start: int, count: int) -> bool:
    """Whether a zip ends with its directory of `count` members and end records that say where that starts.

    Python looks for the directory right before the end records; torch looks where they say, and for as many members
    as they say. A zip with other data in front has a `start` that is not the one it says.
    """
    size = handle.seek(0, os.SEEK_END)
    handle.seek(max(0, size - _WIDE_ENDS.size - _END.size))
    tail = handle.read()
    narrow, wide = tail[-_END.size :], tail[: -_END.size]
    is_wide = wide[-20:-16] == b"PK\6\7"
    end = size - _END.size - (_WIDE_ENDS.size if is_wide else 0)
    where = (count, count, end - start, start)
    if is_wide and _WIDE_ENDS.unpack(wide) != (b"PK\6\6", 44, 0, 0, *where, b"PK\6\7", 0, end, 1):
        return False
    mark, disk, first_disk, *told, comment = _END.unpack(narrow)
    unsaid = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if is_wide else where
    agree = all(value in allowed for value, *allowed in zip(told, where, unsaid, strict=True))
    return agree and (mark, disk, first_disk, comment) == (b"PK\5\6", 0, 0, 0)


def _check_member_names(members: list[zipfile.ZipInfo], name: str) -> None:
    """torch writes plain names and compresses nothing but TorchScript's sources."""
    seen: set[str] = set()
    for member in members:
        path = member.filename
        outside = path.startswith("/") or "\\" in path or ":" in path or ".." in PurePosixPath(path).parts
        shortened = path != member.orig_filename  # at a NUL, where torch does not shorten it
        folder = path.endswith("/") or member.external_attr & _DOS_FOLDER  # torch reads nothing where either says so
        locked = member.flag_bits & ~_PLAIN_FLAGS
        packed = member.compress_type != zipfile.ZIP_STORED and "code" not in PurePosixPath(path).parts
        if outside or shortened or folder or locked or packed or path.lower() in seen:
            shown = ascii(member.orig_filename)[:80]
            raise UnsafeWeights(f"{name} was not written by torch.save: its member {shown} is out of order. Refused.")
        seen.add(path.lower())


def _check_safetensors_header(handle: BinaryIO, name: str, start: bytes) -> None:
    """Length and JSON of the header; offsets and coverage are checked by the safetensors library on opening."""
    size = handle.seek(0, os.SEEK_END)
    handle.seek(8)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or length > min(size - 8, MAX_HEADER_BYTES) or start[8:9] != b"{":
        raise WeightsCorrupted(f"{name} is no checkpoint: {_impression(start)}. Delete it and download it again.")
    try:
        json.loads(handle.read(length))
    except (ValueError, RecursionError) as error:
        raise WeightsCorrupted(f"{name} has a damaged safetensors header ({error}). Download it again.") from error
    finally:
        handle.seek(0)


def _check_onnx(handle: BinaryIO, name: str) -> None:
    """Whether it begins as a ModelProto does, with field 1, the version of the format. onnxruntime checks the rest."""
    handle.seek(0)
    start = handle.read(512)
    if len(start) < 2 or start[0] != 8 or start[1] >= 128:
        raise WeightsCorrupted(f"{name} is no ONNX file: {_impression(start)}. Delete it and download it again.")


def _impression(start: bytes) -> str:
    text = start.lstrip()[:15].lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page that was saved under that name"
    if text.startswith(b"version https:/"):
        return "it is a Git LFS pointer, not the file that it points to"
    return "it is neither ONNX, safetensors, TorchScript nor a torch.save file, or it is cut off"
