"""The command lines of lama-cleaner and IOPaint: every option is a setting, or says in a line what replaces it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inpaint_models import get_model
from lama_server.cli import gui, older
from lama_server.cli.inpaint import run as inpaint
from lama_server.cli.main import COMMANDS, main
from lama_server.cli.older import OPTIONS, OlderOption
from lama_server.cli.options import read_settings
from lama_server.cli.serve import parser
from lama_server.cli.sources import read
from lama_server.exits import StartError
from lama_server.settings import Setting, Settings, table
from serving import ROOT, decode, encode, rect_mask

ROWS = {row.name: row for row in table()}

every_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.words[0])


def given(*words: str) -> Settings:
    return read_settings(parser().parse_args(words))


def as_text(row: Setting, settings: Settings) -> str:
    value = getattr(settings, row.name)
    return str(value).lower() if row.kind == "flag" else str(value)


@every_option
def test_an_option_sets_its_setting_or_says_what_replaces_it(option: OlderOption) -> None:
    row, settings = ROWS[option.setting], given(*option.words)
    assert getattr(settings, row.name) != row.default
    assert (len(settings.replaced) == 1) == row.option.replaced
    assert all(line.startswith(row.flags[0]) for line in settings.replaced)


@every_option
def test_an_option_is_a_variable_and_a_key_in_the_file_too(option: OlderOption, tmp_path: Path) -> None:
    row, flag = ROWS[option.setting], given(*option.words)
    text = as_text(row, flag)
    by_variable = read({}, [row.name], environment={row.variable: text})
    file = tmp_path / "config.toml"
    file.write_text(f"{row.key} = {text if row.kind in ('flag', 'int') else repr(text)}\n")
    by_file = read({}, [row.name], file, environment={})
    assert getattr(by_variable, row.name) == getattr(flag, row.name)
    relative = tmp_path / flag.input if row.name == "input" and flag.input else getattr(flag, row.name)
    wanted = tmp_path / relative if isinstance(relative, Path) else relative
    assert getattr(by_file, row.name) == wanted
    assert len(by_variable.replaced) == len(by_file.replaced) == len(flag.replaced)


@every_option
def test_the_documentation_has_a_row_for_every_option(option: OlderOption) -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert f"| `{' '.join(option.words)}` |" in page


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        *((name, name) for name in ("lama", "ldm", "zits", "mat", "fcf", "manga", "sd2")),
        ("cv2", "opencv"),
        ("sd1.5", "sd15"),
        ("runwayml/stable-diffusion-inpainting", "sd15"),
        ("stabilityai/stable-diffusion-2-inpainting", "sd2"),
        ("diffusers/stable-diffusion-xl-1.0-inpainting-0.1", "sdxl"),
        ("paint_by_example", "paint-by-example"),
        ("Fantasy-Studio/Paint-by-Example", "paint-by-example"),
        ("instruct_pix2pix", "instruct-pix2pix"),
        ("timbrooks/instruct-pix2pix", "instruct-pix2pix"),
    ],
)
def test_a_model_has_its_older_name_too(theirs: str, ours: str) -> None:
    assert get_model(theirs).name == ours


def test_full_precision_is_what_no_half_means() -> None:
    assert given("--no-half").resolved_precision == "float32"
    assert given("--precision", "bfloat16").resolved_precision == "bfloat16"


def test_what_replaces_an_option_is_said_at_start(tmp_path: Path) -> None:
    """And nothing stops because of it: what ends this start is the next thing wrong."""
    words = ["--enable-xformers", "--disable-nsfw", "--config-installer", "--input", str(tmp_path / "missing.png")]
    done = subprocess.run(
        [sys.executable, "-m", "lama_server", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "server"), str(ROOT / "models")))},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in said[:3]] == [
        "--disable-nsfw",
        "--enable-xformers",
        "--config-installer",
    ]
    assert "missing.png" in said[3]


@pytest.mark.parametrize("size", ["1600 1000", "1600x1000", "1600,1000"])
def test_a_window_has_the_size_that_is_asked_for(size: str) -> None:
    assert gui.window_size(given("--gui", "--gui-size", *size.split())) == (1600, 1000)


@pytest.mark.parametrize("size", ["large", "0,0", "100", "1,2,3"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(StartError, match="--gui-size"):
        gui.window_size(given("--gui-size", size))


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for Chromium: writes down how it was started, and is closed at once."""
    told = tmp_path / "told"
    program = tmp_path / "bin" / "chromium"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(gui, "_NAMES", ("chromium",))
    return told


@pytest.mark.parametrize("auto_close", [True, False])
def test_the_server_ends_with_its_window_unless_it_is_not_to(
    browser: Path, monkeypatch: pytest.MonkeyPatch, auto_close: bool
) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    waiter = gui.open_window("http://127.0.0.1:1/", replace(Settings(), gui_size="800,600", gui_auto_close=auto_close))
    assert waiter is not None
    waiter.join()
    assert raised == ([signal.SIGINT] if auto_close else [])
    words = browser.read_text().splitlines()
    assert words[:2] == ["--app=http://127.0.0.1:1/", "--window-size=800,600"]
    profile = Path(words[2].removeprefix("--user-data-dir="))
    assert not profile.exists()


def test_a_tab_is_opened_where_no_window_can_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(gui, "_commands", lambda *_: iter(()))
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert gui.open_window("http://127.0.0.1:1/", Settings()) is None
    assert opened == ["http://127.0.0.1:1/"]
    assert "pywebview" in capsys.readouterr().err


def test_iopaints_commands_are_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMANDS["start"].target == COMMANDS["serve"].target
    assert COMMANDS["list"].target == COMMANDS["models"].target
    assert main(["download", "--model", "opencv"]) == 0
    assert "needs no weights" in capsys.readouterr().out


def test_iopaints_run_fills_into_a_folder_and_keeps_names(tmp_path: Path) -> None:
    photo, mask, out = tmp_path / "photo.png", tmp_path / "mask.png", tmp_path / "new" / "out"
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    photo.write_bytes(encode(pixels))
    mask.write_bytes(encode(rect_mask()))
    words = ["--model", "opencv", "--device", "cpu", "--image", str(photo), "--mask", str(mask), "--output", str(out)]
    assert older.run(words) == 0
    again = tmp_path / "again.png"
    assert inpaint([str(photo), str(mask), "--output", str(again), "--model", "opencv"]) == 0
    assert np.array_equal(decode((out / "photo.png").read_bytes()), decode(again.read_bytes()))
