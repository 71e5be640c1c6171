"""Saved results: complete, new, and under names that every system accepts."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lama_server.errors import DiskFull, RootUnavailable, SaveError, SaveFailed
from lama_server.store import roots, saving
from lama_server.store.saving import safe_name, save_new, sweep

HOSTILE = [
    "../../x.png",
    "..",
    "",
    "x" * 500,
    "日" * 300,
    "CON.png",
    "con.tar.gz",
    "NUL",
    "COM1",
    "a.",
    "a ",
    ".htaccess",
    "x.png\0.html",
    "<img src=x onerror=alert(1)>",
    "a\r\nSet-Cookie: x",
    "\x1b[2J\u202egpj.exe",
    "%0d%0a",
    "C:\\windows\\x",
    "\\\\host\\share",
    "a.png::$DATA",
    "~/.ssh/id_rsa",
    "Cafe\u0301",
    "\ud800",
    " . . ",
]

FORMS = ["unnamed", "linked", "renamed", "copied", "by path"]


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way of saving, also those of systems that this one is not."""
    if request.param not in ("unnamed", "renamed"):
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if request.param == "copied":
        monkeypatch.setattr(saving, "_rename_new", lambda *args: False)
    if request.param in ("renamed", "copied"):

        def refuse(*args: Any, **options: Any) -> None:
            raise OSError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    if request.param == "by path":
        monkeypatch.setattr(roots, "HAS_DIR_FDS", False)
    return str(request.param)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_result_is_saved_under_its_name_and_never_over_another(form: str, tmp_path: Path) -> None:
    """B107."""
    for data in (b"one", b"two", b"three"):
        save_new(tmp_path, "beach", ".png", data)
    assert names(tmp_path) == ["beach-0001.png", "beach-0002.png", "beach.png"]
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"two", b"three", b"one"]


def test_a_planted_link_or_folder_of_that_name_is_left_alone(form: str, tmp_path: Path) -> None:
    """B108."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.png").symlink_to(outside)
    (folder / "a-0001.png").symlink_to(tmp_path / "dangling")
    (folder / "a-0002.png").mkdir()
    assert save_new(folder, "a", ".png", b"new") == "a-0003.png"
    assert outside.read_bytes() == b"secret"
    assert not (tmp_path / "dangling").exists()


@pytest.mark.parametrize("stem", HOSTILE)
def test_a_hostile_name_stays_in_the_folder(form: str, stem: str, tmp_path: Path) -> None:
    """B101, B103."""
    folder = tmp_path / "out"
    folder.mkdir()
    name = save_new(folder, stem, ".png", b"data")
    assert names(folder) == [name]
    assert names(tmp_path) == ["out"]
    assert (folder / name).read_bytes() == b"data"


def is_legal(name: str) -> bool:
    """Windows is the strictest: no reserved characters, devices, or trailing dots and blanks."""
    device = name.split(".")[0].rstrip().upper()
    devices = {"CON", "PRN", "AUX", "NUL", *(f"{kind}{n}" for kind in ("COM", "LPT") for n in range(10))}
    return (
        0 < len(name) <= 120
        and len(name.encode()) <= 255
        and not set(name) & set('<>:"/\\|?*')
        and not any(unicodedata.category(c) == "Cc" for c in name)
        and not any(c in name for c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
        and name[-1] not in ". "
        and name[0] not in ". "
        and device not in devices
        and unicodedata.is_normalized("NFC", name)
    )


@settings(max_examples=200)
@given(stem=st.text(max_size=160), suffix=st.sampled_from([".png", ".jpg", ".webp", ".tif"]))
@example(stem="con", suffix=".png")
@example(stem="e\u0301" * 200, suffix=".png")
@example(stem="CON .x", suffix=".png")
@example(stem="a.png", suffix=".png")
@example(stem="\u0f43" * 120, suffix=".png")
def test_a_safe_name_is_legal_everywhere_and_stays_the_same_the_second_time(stem: str, suffix: str) -> None:
    """B84, B103."""
    name = safe_name(stem, suffix)
    assert is_legal(name), name
    assert name.endswith(suffix)
    assert safe_name(name, suffix) == name


@settings(max_examples=200)
@given(stem=st.text(alphabet="conCON.\\/: \0%~日\u202e\u0301", max_size=40))
def test_names_made_of_dangerous_characters_are_legal_too(stem: str) -> None:
    name = safe_name(stem, ".png")
    assert is_legal(name), name
    assert safe_name(name, ".png") == name


@pytest.mark.parametrize("name", ["test..png", "a b.png", "日本語.png", "😀.png", "beach-0001.png", "Ünïcode.png"])
def test_an_ordinary_name_is_kept(name: str) -> None:
    """B97."""
    assert safe_name(name, ".png") == name
    assert safe_name(name.removesuffix(".png"), ".png") == name


def test_a_suffix_comes_from_the_server_alone() -> None:
    with pytest.raises(ValueError, match="no file suffix"):
        safe_name("a", "/../x")


def test_fifty_saves_of_one_name_at_once_make_fifty_files(form: str, tmp_path: Path) -> None:
    """B102."""
    got: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: got.append(save_new(tmp_path, "a", ".png", b"%d" % n))) for n in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 50
    assert names(tmp_path) == sorted(got)
    assert {(tmp_path / name).read_bytes() for name in got} == {b"%d" % n for n in range(50)}


# ------------------------------------------------------------------------------------------------- faults


def test_a_folder_that_is_gone_is_named(form: str, tmp_path: Path) -> None:
    """B106."""
    with pytest.raises(RootUnavailable, match="Check that it exists") as caught:
        save_new(tmp_path / "gone", "a", ".png", b"data")
    assert caught.value.code == "root.unavailable"
    assert str(tmp_path) not in str(caught.value)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RootUnavailable):
        save_new(tmp_path / "file", "a", ".png", b"data")


def test_a_folder_that_was_swapped_for_a_link_is_not_followed(form: str, tmp_path: Path) -> None:
    """P2, X6: neither where the folder itself is a link now, nor where one above it is."""
    above, elsewhere = tmp_path / "above", tmp_path / "elsewhere"
    (above / "out").mkdir(parents=True)
    (elsewhere / "out").mkdir(parents=True)
    for swapped, to in ((above / "out", elsewhere / "out"), (above, elsewhere)):
        moved = swapped.rename(tmp_path / "moved")
        swapped.symlink_to(to)
        with pytest.raises(RootUnavailable):
            save_new(above / "out", "a", ".png", b"data")
        assert names(elsewhere / "out") == []
        swapped.unlink()
        moved.rename(swapped)
        assert (above / "out" / save_new(above / "out", "a", ".png", b"data")).is_file(), "it is there again"


def test_the_folder_stays_the_same_while_a_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P2, B87: swapped between the check and the write."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    check = saving.check_free

    def swap(*given: Any) -> None:
        check(*given)
        out.rename(tmp_path / "moved")
        out.symlink_to(elsewhere)

    monkeypatch.setattr(saving, "check_free", swap)
    save_new(out, "a", ".png", b"data")
    assert (names(elsewhere), names(tmp_path / "moved")) == ([], ["a.png"])


def test_what_would_take_of_the_space_that_is_left_free_is_not_saved(form: str, tmp_path: Path) -> None:
    free_bytes = roots.free_bytes(tmp_path)
    with pytest.raises(DiskFull, match="Free some space") as caught:
        save_new(tmp_path, "a", ".png", b"data", min_free_bytes=2 * free_bytes)
    assert caught.value.limit is not None
    assert caught.value.limit.flag == "--min-free"
    assert names(tmp_path) == []
    assert save_new(tmp_path, "a", ".png", b"data", min_free_bytes=free_bytes // 2) == "a.png"


FAULTS = [
    (errno.ENOSPC, DiskFull, "save.disk_full"),
    (errno.EIO, SaveFailed, "save.failed"),
    (errno.EROFS, RootUnavailable, "root.unavailable"),
]


@pytest.mark.parametrize(("number", "kind", "code"), FAULTS)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "link"])
def test_when_a_call_fails_nothing_is_left_and_the_next_save_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, call: str, number: int, kind: type[SaveError], code: str
) -> None:
    """B106, B107: the n-th call of its kind fails, for n = 1, 2, ... until a save gets through."""
    if call == "link" and form in ("renamed", "copied"):
        call = "write"
    real = getattr(os, call)
    for nth in range(1, 50):
        calls = 0

        def failing(*args: Any, nth: int = nth, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth:
                raise OSError(number, os.strerror(number))
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            patch.setattr(roots, "HAS_DIR_FDS", form != "by path")
            try:
                save_new(tmp_path, "a", ".png", b"data" * 1000)
                break
            except SaveError as error:
                assert (type(error), error.code) == (kind, code)  # noqa: PT017
        assert names(tmp_path) == []
    assert nth > 1
    assert (tmp_path / "a.png").read_bytes() == b"data" * 1000
    assert save_new(tmp_path, "a", ".png", b"x") == "a-0001.png"


def test_short_writes_are_continued(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:7])))
    save_new(tmp_path, "a", ".png", b"0123456789" * 10)
    assert (tmp_path / "a.png").read_bytes() == b"0123456789" * 10


SAVER = """
import sys
from pathlib import Path
from lama_server.store import saving
if sys.argv[2] == "linked":
    del saving.os.O_TMPFILE
for number in range(100_000):
    saving.save_new(Path(sys.argv[1]), "a", ".png", b"0123456789abcdef" * 40_000)
    if number == 0:
        print("ready", flush=True)
"""


@pytest.mark.parametrize("kind", ["unnamed", "linked"])
def test_killing_the_process_while_it_saves_leaves_no_partial_result(tmp_path: Path, kind: str) -> None:
    paths = os.pathsep.join(path for path in sys.path if path)
    for round_ in range(7):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(tmp_path), kind],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert child.stdout is not None
        with child.stdout:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(0.003 + 0.011 * round_)
            child.kill()
            child.wait()
    saved = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert saved
    assert {path.stat().st_size for path in saved} == {640_000}
    if kind == "unnamed":
        assert len(saved) == len(names(tmp_path)), "not even a hidden file is left"


def test_only_our_own_old_leftovers_are_swept(tmp_path: Path) -> None:
    ours, young, theirs = f".{'a' * 32}.part", f".{'b' * 32}.part", ".download.part"
    for name in (ours, young, theirs, "photo.png"):
        (tmp_path / name).write_bytes(b"x")
    for name in (ours, theirs, "photo.png"):
        os.utime(tmp_path / name, (1, 1))
    assert sweep(tmp_path) == 1
    assert names(tmp_path) == sorted([young, theirs, "photo.png"])


def test_when_all_numbers_are_taken_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_MAX_NUMBER", 2)
    for _ in range(3):
        save_new(tmp_path, "a", ".png", b"x")
    with pytest.raises(SaveFailed, match=r"from a\.png to a-0002\.png are taken"):
        save_new(tmp_path, "a", ".png", b"x")
