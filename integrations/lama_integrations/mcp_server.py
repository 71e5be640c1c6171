"""`lama-server-mcp`: tools for agents, over the Model Context Protocol: look at a photo, remove things from it.

It reads and writes files in one folder only, replaces none, and leaves the work to a running lama-server.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from lama_server import codec
from lama_server.errors import ApiError

from .lama_client import DEFAULT_SERVER, LamaError, Pixels, ask, encode_png, fill_whole

MOST_SHOWN_PX = 1024
INSTRUCTIONS = (
    "Removes things from photos on this machine. Look at a photo first: you get a small copy and the photo's size. "
    "Name what is to go as boxes in the pixels of the photo itself, a little larger than the thing, with its shadow. "
    "The result is a new file beside the photo."
)

Photo = Annotated[str, Field(description="Name of an image file, below the folder that this server works in.")]
Areas = Annotated[
    list[tuple[int, int, int, int]] | None,
    Field(description="Boxes [x, y, width, height] in pixels of the photo as it is shown, from its top left corner."),
]


@dataclass(frozen=True, slots=True)
class Tools:
    """What agents can call, on the files below one folder."""

    folder: Path
    server: str
    token: str = ""

    def look(self, photo: Photo) -> list[Any]:
        """A photo: its size, and a copy with at most 1024 pixels a side."""
        path = self._below(photo)
        try:
            decoded = codec.decode(path)
        except ApiError as error:
            raise ToolError(error.detail) from None
        info, shown = decoded.info, codec.preview(decoded.pixels, MOST_SHOWN_PX, codec.read_metadata(path))
        size = {"width": info.width, "height": info.height, "format": info.format, "bit_depth": info.bit_depth}
        return [json.dumps(size), Image(data=shown.data, format=shown.media_type.rpartition("/")[2])]

    def remove(
        self,
        photo: Photo,
        areas: Areas = None,
        mask: Annotated[str, Field(description="Instead of areas: an image of the photo's size, white = fill.")] = "",
        model: Annotated[str, Field(description="One of `models` that is ready; empty: the server's choice.")] = "",
        seed: Annotated[int, Field(ge=0, description="Another one gives another result, with some models.")] = 0,
    ) -> dict[str, Any]:
        """Fills areas of a photo with what fits their surroundings; nothing else changes. Saves it as a new file."""
        path = self._below(photo)
        painted = self._below(mask).read_bytes() if mask else self._painted(path, areas or [])
        try:
            result = fill_whole(
                path.read_bytes(), painted, server=self.server, token=self.token, model=model, seed=seed
            )
        except LamaError as error:
            raise ToolError(str(error)) from None
        saved = _save_new(path, result.suffix, result.image)
        return {"saved": str(saved.relative_to(self.folder)), "model": result.model, "seed": seed}

    def models(self) -> list[dict[str, str]]:
        """The models that fill, each with what it is good for and whether it is ready."""
        try:
            listed = json.loads(ask(self.server, "/api/v1/models", self.token)[0])["models"]
        except LamaError as error:
            raise ToolError(str(error)) from None
        return [{name: one[name] for name in ("name", "state", "tagline")} for one in listed if one["task"] == "fill"]

    def _below(self, name: str) -> Path:
        """The file of that name. Raises `ToolError` for what is not in the folder, links out of it included."""
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder) or not path.is_file():
            raise ToolError(f"There is no file {name!r} in {self.folder}. Name one that is below that folder.")
        return path

    def _painted(self, photo: Path, areas: Sequence[tuple[int, int, int, int]]) -> bytes:
        """A mask of boxes, which may reach beyond the photo."""
        try:
            info = codec.probe(photo)
        except ApiError as error:
            raise ToolError(error.detail) from None
        rows = bytearray(info.width * info.height)
        for x, y, width, height in areas:
            x0, x1 = max(0, x), min(info.width, x + width)
            for row in range(max(0, y), min(info.height, y + height)):
                rows[row * info.width + x0 : row * info.width + x1] = b"\xff" * max(0, x1 - x0)
        if not any(rows):
            raise ToolError(
                f"The areas cover no pixel of the photo, which is {info.width}x{info.height} (width x height)."
            )
        return encode_png(Pixels(info.width, info.height, 1, 8, bytes(rows)))


def _save_new(photo: Path, suffix: str, data: bytes) -> Path:
    """Beside the photo, under the first name that no file has yet."""
    number = 0
    while True:
        number += 1
        path = photo.with_name(f"{photo.stem}-filled{'' if number == 1 else f'-{number}'}{suffix}")
        try:
            with path.open("xb") as file:
                file.write(data)
            return path
        except FileExistsError:
            continue


def server_for(tools: Tools) -> MCPServer:
    """The tools as an MCP server."""
    server: MCPServer = MCPServer("lama-server", instructions=INSTRUCTIONS)
    server.add_tool(tools.look, structured_output=False)
    server.add_tool(tools.remove)
    server.add_tool(tools.models)
    return server


def main() -> None:
    """Speaks over standard input and output until that ends."""
    parser = argparse.ArgumentParser(prog="lama-server-mcp", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="Where the photos are. Default: here.")
    parser.add_argument("--server", default=DEFAULT_SERVER, help=f"Default: {DEFAULT_SERVER}")
    given = parser.parse_args()
    token = os.environ.get("LAMA_SERVER_TOKEN", "")
    server_for(Tools(given.folder.resolve(strict=True), given.server, token)).run("stdio")


if __name__ == "__main__":
    main()
