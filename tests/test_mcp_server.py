"""The tools for agents, called by the real client of the Model Context Protocol over standard input and output."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from mcp import Client, StdioServerParameters
from mcp_types import ImageContent, TextContent

from fake_engines import photo
from lama_server import codec
from serving import ROOT, RunningServer, encode, rect_mask

HOLE = (slice(16, 36), slice(20, 44))


@pytest.fixture
def agent(server: RunningServer, tmp_path: Path) -> Callable[..., list[Any]]:
    """Calls tools, one after another, on a folder with two photos and a mask; gives their results."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(encode(photo()))
    tifffile.imwrite(tmp_path / "photos/deep.tif", photo().astype(np.uint16) * 257, photometric="rgb")
    (tmp_path / "photos/mask.png").write_bytes(encode(rect_mask()))
    (tmp_path / "secret.png").write_bytes(encode(photo()))
    (tmp_path / "photos/link.png").symlink_to(tmp_path / "secret.png")
    path = os.pathsep.join(str(ROOT / name) for name in ("server", "models", "integrations"))
    command = StdioServerParameters(
        command=sys.executable,
        args=[
            "-m",
            "lama_integrations.mcp_server",
            "--server",
            f"http://127.0.0.1:{server.port}",
            "--folder",
            "photos",
        ],
        env={"PYTHONPATH": path},
        cwd=tmp_path,
    )

    def call(*calls: tuple[str, dict[str, Any]]) -> list[Any]:
        async def work() -> list[Any]:
            async with Client(command) as client:
                if not calls:
                    return list((await client.list_tools()).tools)
                return [await client.call_tool(name, arguments) for name, arguments in calls]

        return asyncio.run(asyncio.wait_for(work(), 120))

    return call


def said(result: Any) -> str:
    content = result.content[0]
    assert isinstance(content, TextContent)
    return content.text


def test_an_agent_is_told_what_the_tools_are_for(agent: Callable[..., list[Any]]) -> None:
    tools = {tool.name: tool for tool in agent()}
    assert set(tools) == {"look", "remove", "models"}
    assert all(tool.description for tool in tools.values())
    assert "pixels of the photo" in json.dumps(tools["remove"].input_schema)


def test_an_agent_looks_removes_and_finds_the_result_beside_the_photo(
    agent: Callable[..., list[Any]], tmp_path: Path
) -> None:
    removal = {"photo": "a.png", "areas": [[20, 16, 24, 20]], "model": "painter", "seed": 90}
    looked, listed, first, second = agent(
        ("look", {"photo": "a.png"}), ("models", {}), ("remove", removal), ("remove", removal)
    )
    size, picture = looked.content
    assert json.loads(size.text) == {"width": 96, "height": 64, "format": "png", "bit_depth": 8}
    assert isinstance(picture, ImageContent)
    assert codec.decode(base64.b64decode(picture.data)).pixels.shape == (64, 96, 3)
    assert "painter" in [model["name"] for model in listed.structured_content["result"]]
    assert first.structured_content == {"saved": "a-filled.png", "model": "painter", "seed": 90}
    assert second.structured_content["saved"] == "a-filled-2.png"
    expected = photo()
    expected[HOLE] = (90, 0, 0)
    assert np.array_equal(codec.decode(tmp_path / "photos/a-filled.png").pixels, expected)
    assert np.array_equal(codec.decode(tmp_path / "photos/a.png").pixels, photo())


def test_a_photo_of_16_bits_keeps_them_and_a_mask_may_be_a_file(
    agent: Callable[..., list[Any]], tmp_path: Path
) -> None:
    (result,) = agent(("remove", {"photo": "deep.tif", "mask": "mask.png", "model": "painter", "seed": 90}))
    expected = photo().astype(np.uint16) * 257
    expected[HOLE] = (90 * 257, 0, 0)
    assert result.structured_content["saved"] == "deep-filled.tif"
    assert np.array_equal(tifffile.imread(tmp_path / "photos/deep-filled.tif"), expected)


def test_an_agent_is_told_what_went_wrong_and_reaches_no_other_folder(
    agent: Callable[..., list[Any]], tmp_path: Path
) -> None:
    (tmp_path / "photos/none.png").write_bytes(b"nothing")
    area = [[20, 16, 24, 20]]
    calls = {
        "There is no file '../secret.png'": ("look", {"photo": "../secret.png"}),
        "There is no file 'link.png'": ("remove", {"photo": "link.png", "areas": area}),
        f"There is no file '{tmp_path}/secret.png'": ("remove", {"photo": f"{tmp_path}/secret.png", "areas": area}),
        "There is no file '../mask.png'": ("remove", {"photo": "a.png", "mask": "../mask.png"}),
        "The areas cover no pixel of the photo, which is 96x64": (
            "remove",
            {"photo": "a.png", "areas": [[96, 0, 9, 9]]},
        ),
        "The areas cover no pixel": ("remove", {"photo": "a.png"}),
        "There is no model 'nothing'": ("remove", {"photo": "a.png", "areas": area, "model": "nothing"}),
        "The file is none of these": ("look", {"photo": "none.png"}),
    }
    for sentence, result in zip(calls, agent(*calls.values()), strict=True):
        assert result.is_error
        assert sentence in said(result)
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == [
        "a.png", "deep.tif", "link.png", "mask.png", "none.png",
    ]  # fmt: skip
