"""Files of IOPaint's page: the photo that it opens at start, what a photo was made with, and saving."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from ... import codec
from ...codec.info import SOURCE_TYPES
from ...errors import FieldMissing, RootUnavailable
from ...http.forms import file_field, multipart
from ...http.streams import PICTURE_HEADERS, WholeFile
from ..common import Found, Private
from .forms import check_form

router = APIRouter(prefix="/api/v1")


@router.get("/inputimage")
async def input_image(found: Found) -> Response:
    """The photo that --input names, nothing without one: the page asks at every start."""
    if found.open_image is None:
        return Response(status_code=204)
    image = await found.documents.image(found.open_image)
    return WholeFile(found.documents.store.original_path(image.id), SOURCE_TYPES[image.info.format], PICTURE_HEADERS)


@router.post("/gen-info")
async def gen_info(request: Request, found: Found, work: Private) -> dict[str, str]:
    """The words that a diffusion model made a picture of, as web UIs write them into a PNG's `parameters`."""
    check_form(request)
    async with multipart(request, found.limits, work) as form:
        data = await file_field(form, "file").read()
    metadata = await asyncio.to_thread(codec.read_metadata, data, found.documents.codec_limits)
    prompt, _, rest = parameters_of(metadata).partition("Negative prompt: ")
    return {"prompt": prompt.strip(), "negative_prompt": rest.partition("\n")[0].strip()}


def parameters_of(metadata: codec.Metadata) -> str:
    """The text of that keyword, "" without it."""
    for kind, data in metadata.text_chunks:
        keyword, _, text = data.partition(b"\0")
        if keyword == b"parameters" and kind == b"tEXt":
            return text.decode("latin-1")
        if keyword == b"parameters" and kind == b"iTXt" and text[:1] == b"\0":
            return text[2:].split(b"\0", 2)[-1].decode("utf-8", "replace")
    return ""


@router.post("/save_image")
async def save_image(request: Request, found: Found, work: Private) -> dict[str, Any]:
    """Saves a picture into --output-dir under a name that is free; what is saved was decoded and encoded here.

    Raises `RootUnavailable` without --output-dir, and what saving raises.
    """
    check_form(request)
    if found.settings.output_dir is None:
        raise RootUnavailable("The server was started without --output-dir: there is no folder to save into.")
    async with multipart(request, found.limits, work) as form:
        file = file_field(form, "file")
        if not file.filename:
            raise FieldMissing("The file has no name.", pointer="/file")
        await work.put_image(file)
    saved = await found.saves.save(work.picture, file.filename)
    if saved.problem is not None:
        raise saved.problem
    return {"name": saved.name}
