"""Multipart forms, read with every limit in place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from .. import errors
from ..errors.disk import disk_errors
from ..settings import Limits
from ..store.documents import COPY_BYTES, Workspace

MAX_FILES = 4
MAX_FIELDS = 8


@asynccontextmanager
async def multipart(
    request: Request, limits: Limits, work: Workspace, max_fields: int = MAX_FIELDS
) -> AsyncIterator[FormData]:
    """The form's fields; files lie in memory, or in temporary files in the workspace that are gone afterwards.

    Raises `MultipartMalformed`, `TooManyFiles`, `TooManyFields`, `FieldTooLarge`, `ParamsMalformed`, `StoreFull`,
    `RootUnavailable`.
    """
    _check_charset(request.headers["content-type"])
    parser = _Parser(
        work.folder,
        request.headers,
        request.stream() if "content-length" in request.headers else _with_room(request.stream(), work),
        max_files=MAX_FILES,
        max_fields=max_fields,
        max_part_size=limits.text_field_bytes,
    )
    try:
        with disk_errors():
            form = await parser.parse()
    except MultiPartException as error:
        raise _form_problem(error.message, max_fields) from None
    try:
        if not parser.ended:
            raise errors.MultipartMalformed("The form ends before its closing boundary. Send it again.")
        yield form
    finally:
        await form.close()


async def _with_room(chunks: AsyncIterator[bytes], work: Workspace) -> AsyncGenerator[bytes, None]:
    """Sets room aside for a body of unknown length; for others the workspace was made with it."""
    room_bytes = 0
    async for chunk in chunks:
        if len(chunk) > room_bytes:
            taken_bytes = max(COPY_BYTES, len(chunk))
            await work.take(taken_bytes)
            room_bytes += taken_bytes
        room_bytes -= len(chunk)
        yield chunk


class _Parser(MultiPartParser):
    """Keeps files where they are told to lie, and knows whether the form came to its end.

    A form that was cut off can look like a smaller one.
    """

    ended = False

    def __init__(self, folder: Path, *arguments: Any, **limits: Any) -> None:
        super().__init__(*arguments, **limits)
        self._folder = folder

    def on_headers_finished(self) -> None:
        """Starlette puts large files into the system's folder for temporary files, where no limit of ours holds."""
        super().on_headers_finished()
        if (upload := self._current_part.file) is not None:
            upload.file.close()
            file = SpooledTemporaryFile(max_size=self.spool_max_size, dir=str(self._folder))  # noqa: SIM115
            self._files_to_close_on_error[-1] = file
            upload.file = cast("BinaryIO", file)

    def on_part_end(self) -> None:
        """Starlette reads text that is not of the form's charset as Latin-1, which makes other words of it.

        Names of files may be in any charset: they are cleaned before use.
        """
        if self._current_part.file is None:
            try:
                self._current_part.data.decode(self._charset)
            except UnicodeDecodeError:
                where = errors.json_pointer(self._current_part.field_name)
                raise errors.ParamsMalformed("A text field of the form is not UTF-8.", pointer=where) from None
        super().on_part_end()

    def on_end(self) -> None:
        self.ended = True


def _check_charset(content_type: str) -> None:
    """Forms are UTF-8; decoders such as UTF-7 make text of plain bytes that nothing else expects."""
    charset = parse_options_header(content_type)[1].get(b"charset", b"utf-8")
    if charset.lower().replace(b"_", b"-") not in (b"utf-8", b"utf8", b"us-ascii"):
        raise errors.MultipartMalformed("Send the form as UTF-8, without another charset.")


def _form_problem(message: str, max_fields: int) -> errors.ApiError:
    """The parser tells its limits apart only by words."""
    if message.startswith("Too many files"):
        return errors.TooManyFiles(f"The form has more than {MAX_FILES} files: image, mask and where to copy from.")
    if message.startswith("Too many fields"):
        return errors.TooManyFields(f"The form has more than {max_fields} text fields.")
    if message.startswith("Part exceeded"):
        return errors.FieldTooLarge("A text field of the form has more than 64 KiB.")
    return errors.MultipartMalformed("The form cannot be read. Send multipart/form-data with a boundary.")


def file_field(form: FormData, name: str) -> UploadFile:
    """The one file under that name. Raises `FieldMissing`, `FieldDuplicate`, `FieldNotAFile`."""
    value = optional_file_field(form, name)
    if value is None:
        raise errors.FieldMissing(f"The form has no file {name!r}.", pointer=f"/{name}")
    return value


def optional_file_field(form: FormData, name: str) -> UploadFile | None:
    """As `file_field`; None where there is none."""
    value = _single(form, name)
    if isinstance(value, str):
        raise errors.FieldNotAFile(f"The field {name!r} must be a file.", pointer=f"/{name}")
    return value


def text_field(form: FormData, name: str) -> str | None:
    """The one text under that name, None when there is none. Raises `FieldDuplicate`, `ParamWrongType`."""
    value = _single(form, name)
    if isinstance(value, UploadFile):
        raise errors.ParamWrongType(f"The field {name!r} must be text, not a file.", pointer=f"/{name}")
    return value


def _single(form: FormData, name: str) -> UploadFile | str | None:
    values = form.getlist(name)
    if len(values) > 1:
        raise errors.FieldDuplicate(f"The field {name!r} is there {len(values)} times.", pointer=f"/{name}")
    return values[0] if values else None
