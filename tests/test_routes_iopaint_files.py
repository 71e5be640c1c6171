"""Files as IOPaint asks for them: its file manager, the photo of the start, what is saved, the words in a picture."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fake_engines import photo
from lama_server.codec.info import SOURCE_TYPES, SUFFIXES, SourceFormat
from pictures import saved
from serving import Reply, RunningServer, decode, encode, multipart

IMAGE = encode(photo())


def with_parameters(words: str, *, international: bool) -> bytes:
    info = PngInfo()
    info.add_itxt("parameters", words) if international else info.add_text("parameters", words)
    return saved(photo(), "PNG", pnginfo=info)


@pytest.mark.parametrize("international", [False, True])
def test_the_words_in_a_picture_are_read(server: RunningServer, international: bool) -> None:
    def read(**files: bytes) -> Reply:
        return server.post_form("/api/v1/gen-info", files)

    words = "a red car\nNegative prompt: rain, fög\nSteps: 20"
    reply = read(file=with_parameters(words, international=international))
    assert reply.json == {"prompt": "a red car", "negative_prompt": "rain, fög"}
    assert read(file=saved(photo(), "JPEG")).json == {"prompt": "", "negative_prompt": ""}
    assert read(file=b"no image").code == "image.unsupported_format"
    assert read().code == "field.missing"


def test_a_picture_is_saved_anew_and_replaces_nothing(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "file.png").write_bytes(b"mine")
    server = start_server(output_dir=str(out))
    reply = server.post_form("/api/v1/save_image", {"file": IMAGE + b"what follows the end"})
    assert reply.json == {"name": "file-0001.png"}
    assert np.array_equal(decode((out / "file-0001.png").read_bytes()), photo())
    assert b"what follows" not in (out / "file-0001.png").read_bytes()
    assert server.post_form("/api/v1/save_image", {"file": b"no image"}).code == "image.unsupported_format"
    body, kind = multipart({"file": saved(photo(), "JPEG")})
    hostile = body.replace(b'filename="file.png"', b'filename="..\\..\\/etc/a\nb.exe"')
    assert server.ask("POST", "/api/v1/save_image", hostile, {"content-type": kind}).status in (200, 400)
    assert {path.suffix for path in out.iterdir()} <= {".png", ".jpg"}
    assert (out / "file.png").read_bytes() == b"mine"


def test_without_a_folder_nothing_is_saved(server: RunningServer) -> None:
    reply = server.post_form("/api/v1/save_image", {"file": IMAGE})
    assert reply.code == "root.unavailable"


def test_the_photo_of_the_start_is_given_out_as_it_is(
    server: RunningServer, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    source = saved(photo(), "JPEG", comment=b"as it is")
    (tmp_path / "photo.jpg").write_bytes(source)
    reply = start_server(input=str(tmp_path / "photo.jpg")).ask("GET", "/api/v1/inputimage")
    assert (reply.body, reply.headers["content-type"]) == (source, "image/jpeg")
    assert server.ask("GET", "/api/v1/inputimage").status == 204


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, results, and what must not be reached through them."""
    root = tmp_path_factory.mktemp("media")
    (root / "in" / "inside").mkdir(parents=True)
    (root / "out").mkdir()
    (root / "in" / "b each.jpg").write_bytes(saved(photo(640, 480), "JPEG"))
    (root / "in" / "a..b.png").write_bytes(IMAGE)
    (root / "in" / "broken.png").write_bytes(b"no image")
    (root / "in" / "notes.txt").write_text("mine")
    (root / "in" / ".hidden.png").write_bytes(IMAGE)
    (root / "in" / "inside" / "c.png").write_bytes(IMAGE)
    (root / "secret.png").write_bytes(IMAGE)
    (root / "in" / "link.png").symlink_to(root / "secret.png")
    (root / "in" / "folder.png").mkdir()
    os.mkfifo(root / "in" / "pipe.png")
    (root / "out" / "result.webp").write_bytes(encode(photo(), "WEBP"))
    return root


@pytest.fixture(scope="module")
def manager(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    options = {"input": str(folders / "in"), "output_dir": str(folders / "out")}
    with RunningServer(tmp_path_factory.mktemp("data"), options) as running:
        running.wait_ready()
        yield running


def test_folders_are_listed_with_sizes(manager: RunningServer) -> None:
    assert manager.ask("GET", "/api/v1/server-config").json["enableFileManager"] is True
    rows = manager.ask("GET", "/api/v1/medias?tab=input").json
    assert [(row["name"], row["width"], row["height"]) for row in rows] == [
        ("a..b.png", 96, 64),
        ("b each.jpg", 640, 480),
    ]
    assert all(row["mtime"] > 1e9 and row["ctime"] > 1e9 for row in rows)
    assert [row["name"] for row in manager.ask("GET", "/api/v1/medias?tab=output").json] == ["result.webp"]
    assert manager.ask("GET", "/api/v1/medias?tab=mask").json == []
    assert manager.ask("GET", "/api/v1/medias?tab=etc").code == "param.unknown_value"


def test_files_are_given_out_as_they_are(manager: RunningServer, folders: Path) -> None:
    reply = manager.ask("GET", "/api/v1/media_file?tab=input&filename=b%20each.jpg")
    assert reply.body == (folders / "in" / "b each.jpg").read_bytes()
    assert reply.headers["content-type"] == "image/jpeg"
    assert "sandbox" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("asked", "size"), [("width=160", (160, 120)), ("width=0&height=60", (80, 60)), ("", (256, 192))]
)
def test_thumbnails_are_small_and_known_again(manager: RunningServer, asked: str, size: tuple[int, int]) -> None:
    path = f"/api/v1/media_thumbnail_file?tab=input&filename=b%20each.jpg&{asked}"
    reply = manager.ask("GET", path)
    with Image.open(io.BytesIO(reply.body)) as small:
        assert small.size == size
    again = manager.ask("GET", path, headers={"if-none-match": reply.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert manager.ask("GET", "/api/v1/media_thumbnail_file?tab=output&filename=result.webp&width=48").status == 200


@pytest.mark.parametrize(
    "name",
    [
        "missing.png", "../secret.png", "%2e%2e%2fsecret.png", "inside/c.png", "inside%5cc.png", "/etc/passwd",
        "link.png", "folder.png", "pipe.png", ".hidden.png", "notes.txt", "", ".", "..", "a%00.png", "b%0aeach.jpg",
        "a..b.png%20", "a..b.png.", "a..b.png:stream.png", "x" * 300 + ".png", "%ff.png",
    ],
)  # fmt: skip
@pytest.mark.parametrize("address", ["media_file", "media_thumbnail_file"])
def test_names_lead_nowhere_but_to_the_folders_pictures(manager: RunningServer, address: str, name: str) -> None:
    """Whatever is wrong with a name, the answer is the same."""
    reply = manager.ask("GET", f"/api/v1/{address}?tab=input&filename={name}")
    assert (reply.status, reply.code) == (404, "file.not_found")
    assert reply.json["detail"] == "There is no such file in this folder."


def test_a_folder_that_is_swapped_for_a_link_is_not_followed(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(IMAGE)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "secret.png").write_bytes(IMAGE)
    server = start_server(input=str(tmp_path / "in"))
    (tmp_path / "in").rename(tmp_path / "moved")
    (tmp_path / "in").symlink_to(tmp_path / "other")
    assert [row["name"] for row in server.ask("GET", "/api/v1/medias?tab=input").json] == ["a.png"]
    assert server.ask("GET", "/api/v1/media_file?tab=input&filename=secret.png").code == "file.not_found"


def test_every_format_has_a_suffix_and_a_media_type() -> None:
    assert set(SOURCE_TYPES) == set(SUFFIXES.values()) == set(get_args(SourceFormat))


def test_a_damaged_file_has_no_thumbnail(manager: RunningServer) -> None:
    reply = manager.ask("GET", "/api/v1/media_thumbnail_file?tab=input&filename=broken.png&width=48")
    assert reply.code == "image.unsupported_format"


def test_without_a_folder_there_is_no_file_manager(server: RunningServer) -> None:
    assert server.ask("GET", "/api/v1/medias?tab=input").json == []
    assert server.ask("GET", "/api/v1/media_file?tab=output&filename=a.png").code == "file.not_found"
