"""Folders that people fill, as IOPaint's file manager sees them: whatever is in one, nothing outside it is shown."""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from fake_engines import photo
from lama_server import codec
from lama_server.errors import FileMissing
from lama_server.store import media
from serving import Reply, RunningServer, decode, encode

GOOD, SECRET = encode(photo(64, 48)), encode(photo(32, 32, code=9))
RIGHT = ["test..png", "a b.png", "日本語.png", "😀.png", "e\u0301.png", "n" * 251 + ".png", "%2e%2e.png"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything in it that a person, or another program, may put there; secrets lie around it."""
    around = tmp_path_factory.mktemp("around")
    root, sibling = around / "photos", around / "photos-secret"
    for folder in (root, sibling, root / "folder.png"):
        folder.mkdir()
    for name in ("good.png", ".hidden.png", *RIGHT):
        (root / name).write_bytes(GOOD)
    for secret in (around / "secret.png", sibling / "secret.png"):
        secret.write_bytes(SECRET)
    for name in ("evil.html", "evil.svg", "evil.js"):
        (root / name).write_text("<script>1</script>")
    (root / "broken.png").write_bytes(GOOD[:20])
    (root / "lying.png").write_text("<!doctype html><script>1</script>")
    (root / "link.png").symlink_to(around / "secret.png")
    (root / "chain.png").symlink_to("link.png")
    (root / "loop.png").symlink_to("loop.png")
    (root / "linked").symlink_to(sibling)
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.png"))
    return root


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("data"), {"input": str(root)}) as running:
        running.wait_ready()
        yield running


HOSTILE = {
    "B81": ["../secret.png", "../../etc/passwd", "good.png/../../secret.png", "linked/secret.png"],
    "B82": ["%2e%2e/secret.png", "..%2fsecret.png", "..;/secret.png", "..%252fsecret.png"],
    "B83": ["/etc/passwd", "//etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa.png", "/good.png"],
    "B84": [
        "..\\secret.png",
        "C:\\x.png",
        "\\\\host\\share.png",
        "good.png::$DATA",
        "CON",
        "NUL.png",
        "good.png.",
        "good.png ",
    ],
    "B85": ["../photos-secret/secret.png"],
    "B86": ["link.png", "chain.png", "loop.png", "linked", "linked/secret.png"],
    "B89": ["evil.html", "evil.svg", "evil.js"],
    "B90": ["good.png\0.html", "good\0.png", "n" * 300 + ".png", "a/" * 1000 + "x.png", "1/2/3/4/5/6/7/8/9/x.png"],
    "B91": [".", "", "/", "a//b.png", "folder.png", ".hidden.png"],
    "B92": ["pipe.png", "socket.png"],
}


def of(server: RunningServer, name: str, thumbnail: bool = False, **headers: str) -> Reply:
    kind = "media_thumbnail_file" if thumbnail else "media_file"
    return server.ask("GET", f"/api/v1/{kind}?tab=input&filename={quote(name, safe='')}", headers=headers)


@pytest.mark.parametrize("name", [name for names in HOSTILE.values() for name in names])
def test_what_is_no_plain_file_of_the_folder_is_not_there(server: RunningServer, name: str) -> None:
    """B81, B82, B83, B84, B85, B86, B89, B90, B91, B92: in the same words whatever the reason, and without waiting."""
    for thumbnail in (False, True):
        reply = of(server, name, thumbnail)
        assert (reply.code, reply.json["detail"]) == ("file.not_found", "There is no such file in this folder.")


@pytest.mark.parametrize("name", RIGHT)
def test_a_picture_of_any_name_is_shown(server: RunningServer, name: str) -> None:
    """B97."""
    assert of(server, name).body == GOOD
    assert decode(of(server, name, thumbnail=True).body).shape == (48, 64, 3)


def test_a_page_under_the_name_of_a_picture_is_never_a_page(server: RunningServer) -> None:
    """B89."""
    reply = of(server, "lying.png")
    assert (reply.headers["content-type"], reply.headers["x-content-type-options"]) == ("image/png", "nosniff")
    assert reply.headers["content-security-policy"].startswith("sandbox")
    assert of(server, "lying.png", thumbnail=True).code == "image.unsupported_format"


def test_the_list_has_the_pictures_and_nothing_else(server: RunningServer) -> None:
    """B86, B91, B92, B93: a broken picture costs its own row."""
    rows = server.ask("GET", "/api/v1/medias?tab=input").json
    assert sorted(row["name"] for row in rows) == sorted(["good.png", *RIGHT])
    assert {(row["width"], row["height"]) for row in rows} == {(64, 48)}


def test_a_list_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B94."""
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(GOOD)
    monkeypatch.setattr(media, "MOST_LISTED", 5)
    with closing(media.MediaFolder(tmp_path, codec.ImageLimits())) as folder:
        assert [item.name for item in folder.listed()] == [f"{number}.png" for number in range(5)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("medias?tab=secret", "param.unknown_value"),
        ("medias?tab=..", "param.unknown_value"),
        ("medias", "field.missing"),
        ("media_file?tab=nothing&filename=good.png", "param.unknown_value"),
        ("media_file?tab=mask&filename=good.png", "file.not_found"),
        ("media_thumbnail_file?tab=input&filename=good.png&width=-5", "param.out_of_range"),
        ("media_thumbnail_file?tab=input&filename=good.png&width=12000", "param.out_of_range"),
        ("media_thumbnail_file?tab=input&filename=good.png&height=x", "param.wrong_type"),
    ],
)
def test_folders_and_sizes_that_do_not_exist_are_refused(server: RunningServer, query: str, code: str) -> None:
    """B96, B100."""
    assert server.ask("GET", f"/api/v1/{query}").code == code


@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=0-1,2-3", "bytes=-0", "bytes=x", "b" * 15_000])
def test_a_file_is_sent_whole_whatever_range_is_asked_for(server: RunningServer, asked: str) -> None:
    """B98."""
    reply = of(server, "good.png", range=asked)
    assert (reply.status, reply.body) == (200, GOOD)


def test_a_name_that_is_swapped_for_a_link_meanwhile_never_shows_what_it_leads_to(tmp_path: Path) -> None:
    """B87."""
    root, secret = tmp_path / "root", tmp_path / "secret.png"
    root.mkdir()
    secret.write_bytes(SECRET)
    over, seen, refused = threading.Event(), Counter[bytes](), 0

    def swap() -> None:
        while not over.is_set():
            (root / "new").write_bytes(GOOD)
            (root / "new").replace(root / "a.png")
            (root / "new").symlink_to(secret)
            (root / "new").replace(root / "a.png")

    swapping = threading.Thread(target=swap)
    swapping.start()
    with closing(media.MediaFolder(root, codec.ImageLimits())) as folder:
        while set(seen) <= {GOOD} and (seen[GOOD] < 500 or refused < 500):
            try:
                with folder.open("a.png").stream as stream:
                    seen[stream.read()] += 1
            except FileMissing:
                refused += 1
    over.set()
    swapping.join()
    assert set(seen) == {GOOD}


def test_a_folder_that_is_a_link_itself_is_the_one_it_led_to_at_start(tmp_path: Path) -> None:
    """B88."""
    for name, content in (("first", GOOD), ("second", SECRET)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(content)
    link = tmp_path / "link"
    link.symlink_to("first")
    with closing(media.MediaFolder(link, codec.ImageLimits())) as folder:
        link.unlink()
        link.symlink_to("second")
        with folder.open("a.png").stream as stream:
            assert stream.read() == GOOD


@pytest.fixture(scope="module")
def gallery(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The same folder with results beside it: of good.png two, of others none."""
    out = tmp_path_factory.mktemp("out")
    for age, name in enumerate(["secret.png", "good-0001.png", "good.png"]):
        (out / name).write_bytes(GOOD)
        os.utime(out / name, (10_000 - age, 10_000 - age))
    with RunningServer(tmp_path_factory.mktemp("data"), {"input": str(root), "output_dir": str(out)}) as running:
        running.wait_ready()
        yield running


def test_the_gallery_lists_what_is_called_like_a_picture_and_the_newest_result_of_each(gallery: RunningServer) -> None:
    reply = gallery.ask("GET", "/api/v1/photos").json
    assert reply["folder"] == gallery.ask("GET", "/api/v1/config").json["input_dir"] == "photos"
    rows = {row["name"]: row for row in reply["photos"]}
    assert sorted(rows) == sorted(["good.png", "broken.png", "lying.png", *RIGHT])
    assert {name: row["result"] for name, row in rows.items() if row["result"]} == {"good.png": "good-0001.png"}
    assert rows["good.png"]["size_bytes"] == len(GOOD)


def test_a_photo_called_like_another_ones_result_is_no_result(tmp_path: Path) -> None:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a-0001.png").write_bytes(GOOD)
    (tmp_path / "in" / "a.png").write_bytes(GOOD)
    with closing(media.Media(tmp_path / "in", tmp_path / "out", codec.ImageLimits())) as both:
        assert set(both.results(both.photos())) == {"a-0001.png"}
    with closing(media.Media(tmp_path / "in", tmp_path / "in", codec.ImageLimits())) as same:
        assert same.results(same.photos()) == {}, "photos and results cannot be told apart there"


@pytest.mark.parametrize("name", [name for names in HOSTILE.values() for name in names if name.isprintable()])
def test_the_gallery_takes_nothing_in_that_is_no_plain_file_of_the_folder(gallery: RunningServer, name: str) -> None:
    code = gallery.ask("GET", f"/api/v1/photos/thumbnail?name={quote(name, safe='')}").code
    assert code == "file.not_found"
    taken = gallery.post_json("/api/v1/photos", {"name": name})
    assert taken.code in ("file.not_found", "param.too_long", "param.out_of_range")


def test_a_photo_of_the_folder_is_taken_in_as_if_it_had_been_sent(gallery: RunningServer) -> None:
    taken = gallery.post_json("/api/v1/photos", {"name": "good.png"}).json
    assert taken == gallery.ask("GET", f"/api/v1/images/{taken['id']}").json
    assert gallery.ask("GET", f"/api/v1/images/{taken['id']}/original").body == GOOD
    assert gallery.post_json("/api/v1/photos", {"name": "broken.png"}).code.startswith("image.")


def test_a_thumbnail_under_its_version_is_good_for_ever(gallery: RunningServer) -> None:
    row = next(row for row in gallery.ask("GET", "/api/v1/photos").json["photos"] if row["name"] == "good.png")
    asked = "/api/v1/photos/thumbnail?name=good.png"
    lasting = gallery.ask("GET", f"{asked}&version={row['version']}")
    assert decode(lasting.body).shape[:2] == (48, 64)
    assert "immutable" in lasting.headers["cache-control"]
    assert "immutable" not in gallery.ask("GET", f"{asked}&version=old").headers["cache-control"]
    result = f"/api/v1/photos/thumbnail?of=result&name={row['result']}&version={row['result_version']}"
    assert "immutable" in gallery.ask("GET", result).headers["cache-control"]
    assert gallery.ask("GET", "/api/v1/photos/thumbnail?name=broken.png").code.startswith("image.")
