"""The commands about weights: what they print, what they leave, and the exit code they end with."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import checkpoint_forms as forms
from fake_engines import entry, photo
from fake_hub import FakeHub, Fault
from inpaint_models import catalog, load_model, weights
from inpaint_models.registry import Layout, Licence, WeightsFile
from lama_server.cli import main
from lama_server.cli.terminal import Bar, duration_text, size_text, table
from serving import encode, rect_mask

CONTENT = b"PK weights" * 1000
NAME = "tiny.pt"


def layouts() -> tuple[Layout, ...]:
    """A network of one tensor."""
    return (Layout(({"a.b": (3,)},)),)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub({NAME: CONTENT}) as running:
        yield running


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: FakeHub) -> Path:
    """A catalogue of one model without and one with weights, an empty machine, and a network that reaches the hub."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("HF_", "TORCH_HOME", "XDG_", "HUGGINGFACE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("LAMA_SERVER_MODEL_DIR", str(tmp_path / "models"))
    file = WeightsFile(NAME, (hub.url(NAME),), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    tiny = replace(
        entry("tiny", weights=(file,)),
        licence=Licence("CC BY-NC 4.0", "https://licence.example", commercial_use=False),
        layouts=f"{__name__}:layouts",
        aliases=("small",),
    )
    monkeypatch.setattr(catalog, "ENTRIES", (catalog.get_model("opencv"), tiny))
    network = weights.Network(
        plain_http_hosts=frozenset({"127.0.0.1"}), sleep=lambda _: None, read_timeout_s=1.0, tries=2
    )
    monkeypatch.setattr(weights, "download", functools.partial(weights.download, network=network))
    return tmp_path / "models"


def run(*arguments: str) -> int:
    return main(list(arguments))


def test_the_list_says_task_size_state_licence_and_purpose(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run("models") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["MODEL", "TASK", "DOWNLOAD", "STATE", "LICENCE", "FOR"]
    assert lines[1].startswith("opencv")
    assert "ready" in lines[1]
    assert re.split(" {2,}", lines[2]) == [
        "tiny",
        "fill",
        "9.8 KiB",
        "not downloaded",
        "CC BY-NC 4.0, not commercial",
        "for tests",
    ]
    assert str(home) in lines[-1]
    assert not home.exists()


def test_the_list_is_there_for_programs_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "--json") == 0
    tiny = json.loads(capsys.readouterr().out)[1]
    assert (tiny["name"], tiny["task"], tiny["state"]) == ("tiny", "fill", "missing")
    assert tiny["download_bytes"] == len(CONTENT)
    assert tiny["licence"]["commercial_use"] is False


def test_a_download_shows_the_licence_first_and_then_where_the_file_is(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert run("download", "small") == 0
    said = capsys.readouterr()
    assert "NOT for commercial use" in said.out.splitlines()[0]
    assert said.out.splitlines()[-1] == f"{NAME}: ready, {home / NAME}"
    assert "100 %" in said.err
    run("models")
    assert "ready" in capsys.readouterr().out.splitlines()[2]


def test_download_all_passes_over_models_without_weights(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run("download", "all") == 0
    assert "OpenCV needs no weights" in capsys.readouterr().out
    assert (home / NAME).exists()


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault(status=404), 6), (Fault(status=503), 6), (Fault(flip=1), 5)],
)
def test_a_failed_download_is_one_line_and_a_documented_code(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], fault: Fault, code: int
) -> None:
    hub.always[NAME] = fault
    assert run("download", "tiny") == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("lama-server: ")
    assert "Traceback" not in last


def test_offline_says_what_to_put_where(hub: FakeHub, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run("download", "tiny", "--offline") == 6
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert hub.asked == []
    assert said == (
        "lama-server: Tiny needs tiny.pt (0 MiB), which is not on this machine: start once without --offline, or get "
        f"it from {hub.url(NAME)} and put it into the model folder {home}.\n"
    )


def test_an_unknown_model_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["download", "nothing"], ["verify", "nothing"], ["convert", "x", "--model", "nothing"]):
        assert run(*command) == 2
        assert "There are: opencv, tiny" in capsys.readouterr().err


def test_verify_names_a_damaged_file(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    run("download", "tiny")
    assert run("verify") == 0
    assert f"tiny  {NAME}  ready" in capsys.readouterr().out
    damaged = bytearray(CONTENT)
    damaged[7] ^= 1
    (home / NAME).write_bytes(damaged)
    assert run("verify", "tiny") == 5
    said = capsys.readouterr().err
    assert f"{NAME} is not the published file" in said
    assert "run lama-server download tiny, or get it from http" in said
    assert said.endswith(f"into the model folder {home}.\n")


@pytest.mark.parametrize(
    ("content", "word", "said"),
    [
        (b"", "damaged", f"{NAME} has 0 bytes; the published file has 10,000."),
        (CONTENT[:-1], "damaged", f"{NAME} has 9,999 bytes; the published file has 10,000."),
        (b"\x80\x02N.", "refused", f"{NAME} is a Python pickle that was not written by torch.save."),
    ],
    ids=["empty", "cut", "pickle"],
)
def test_a_file_that_cannot_be_used_is_said_to_be_there(
    capsys: pytest.CaptureFixture[str], home: Path, fill: list[str], content: bytes, word: str, said: str
) -> None:
    """B115, B116: in the list, by verify and when a photo is filled."""
    home.mkdir()
    (home / NAME).write_bytes(content)
    run("models")
    out = capsys.readouterr().out
    assert word in next(line for line in out.splitlines() if line.startswith("tiny "))
    assert f"\ntiny: {said}" in out
    assert "run lama-server download tiny, or get it from http" in out
    run("models", "--json")
    assert json.loads(capsys.readouterr().out)[1]["files"][0]["note"].startswith(said)
    for command in (["verify", "tiny"], [*fill, "--offline"]):
        assert run(*command) == 5
        assert capsys.readouterr().err.startswith(f"lama-server: {said}")


def test_verify_accepts_a_file_of_ones_own_again(home: Path, tmp_path: Path) -> None:
    own = home / "tiny/own.safetensors"
    own.parent.mkdir(parents=True)
    forms.write_safetensors(own, {"a": torch.ones(1)})
    assert run("verify", "tiny") == 0
    forms.write_safetensors(own, {"a": torch.zeros(5)})
    assert run("verify", "tiny") == 5
    assert run("verify", "tiny", "--accept") == 0
    assert run("verify", "tiny") == 0


def test_verify_drops_a_damaged_copy(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    source = forms.write_pth(tmp_path / "a.pth", {"a": torch.ones(3)})
    weights.read_state_dict(source, {"a": (3,)}, copies_in=home)
    (copy,) = (home / "converted").iterdir()
    copy.write_bytes(b"damaged")
    assert run("verify") == 0
    assert f"{copy.name}: damaged copy deleted" in capsys.readouterr().out


def test_convert_writes_where_the_model_looks(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    source = forms.write_torchscript(tmp_path / "mine.pt", {"a.b": torch.ones(3)})
    assert run("convert", str(source), "--model", "tiny") == 5
    assert "--allow-torchscript" in capsys.readouterr().err
    assert run("convert", str(source), "--model", "tiny", "--allow-torchscript") == 0
    assert str(home / "tiny/mine.safetensors") in capsys.readouterr().out
    assert run("convert", str(source), "--model", "tiny", "--allow-torchscript") == 2
    assert run("convert", str(tmp_path / "none.pt"), "--model", "tiny") == 6


def test_convert_refuses_what_is_not_the_models(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    source = forms.write_pth(tmp_path / "other.pth", {"c": torch.ones(3)})
    assert run("convert", str(source), "--model", "tiny") == 5
    assert "This is no file of Tiny: other.pth holds 1 tensors" in capsys.readouterr().err
    assert run("convert", str(source), "--model", "opencv") == 2
    assert "OpenCV needs no weights" in capsys.readouterr().err
    assert not home.exists()


@pytest.fixture
def fill(tmp_path: Path) -> list[str]:
    """The command that fills a photo with the model whose weights are not here."""
    (tmp_path / "photo.png").write_bytes(encode(photo()))
    (tmp_path / "mask.png").write_bytes(encode(rect_mask()))
    paths = [str(tmp_path / name) for name in ("photo.png", "mask.png", "out.png")]
    return ["inpaint", paths[0], paths[1], "-o", paths[2], "--model", "tiny"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({1: "nosuch.png"}, "There is no nosuch.png"),
        ({2: "nosuch.png"}, "There is no nosuch.png"),
        ({4: "out.exe"}, "cannot be written as .exe"),
        ({6: "nothing"}, "no model 'nothing'"),
        ({7: "--param", 8: "nonsense=1"}, "no parameter 'nonsense'"),
        ({7: "--seed", 8: "-1"}, "seed is -1"),
    ],
)
def test_nothing_is_fetched_for_a_fill_that_cannot_be_done(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], fill: list[str], changes: dict[int, str], words: str
) -> None:
    given = dict(enumerate(fill)) | changes
    assert run(*given.values()) == 2
    assert words in capsys.readouterr().err
    assert hub.asked == []


def test_a_fill_that_needs_weights_shows_the_licence_and_a_bar(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], fill: list[str], home: Path
) -> None:
    assert run(*fill) == 0
    said = capsys.readouterr()
    assert said.out == "1 filled, 0 copied, 0 skipped, 0 failed\n"
    assert said.err.splitlines()[0] == (
        "Tiny, licence of the weights: CC BY-NC 4.0. NOT for commercial use. https://licence.example"
    )
    assert f"{NAME}: 100 %" in said.err
    assert (home / NAME).exists()
    assert run(*fill) == 0
    assert "licence" not in capsys.readouterr().err


def test_a_fill_offline_says_what_to_put_where(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], fill: list[str], home: Path
) -> None:
    assert run(*fill, "--offline") == 6
    said = capsys.readouterr().err
    assert "start once without --offline" in said
    assert said.endswith(f"and put it into the model folder {home}.\n")
    assert hub.asked == []


def test_a_model_that_is_loaded_from_python_tells_its_download(home: Path) -> None:
    told: list[weights.TransferProgress] = []
    load_model("tiny", progress=told.append)
    assert {progress.stage for progress in told} == {"downloading", "verifying"}
    assert told[-1].done_bytes == len(CONTENT)
    load_model("tiny", local_files_only=True)


@pytest.mark.parametrize("command", ["models", "download", "verify", "convert"])
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    assert "--model-dir" in capsys.readouterr().out


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_bar_redraws_its_line_and_says_how_long_it_will_take() -> None:
    now, screen = [0.0], Terminal()
    bar = Bar(screen, amount_text=size_text, clock=lambda: now[0])
    for second, done in enumerate((0, 10 << 20, 20 << 20, 40 << 20)):
        now[0] = float(second)
        bar.show("a.pt", done, 40 << 20)
    bar.end()
    frames = screen.getvalue().split("\r")
    assert "50 %  20 MiB of 40 MiB  2 s left" in frames[3]
    assert "[########################] 100 %" in frames[4]
    assert screen.getvalue().endswith("\n")


def test_the_bar_is_not_drawn_more_often_than_anybody_can_see() -> None:
    screen = Terminal()
    bar = Bar(screen, clock=lambda: 0.0)
    for done in range(1000):
        bar.show("a", done, 1000)
    assert screen.getvalue().count("\r") == 1


def test_in_a_log_the_bar_is_a_line_every_ten_percent() -> None:
    log = io.StringIO()
    bar = Bar(log)
    for done in range(0, 1001, 7):
        bar.show("a.pt", done, 1000)
    assert log.getvalue().splitlines() == [f"a.pt: {percent} %" for percent in range(0, 100, 10)]


def test_words_for_sizes_and_times() -> None:
    assert [size_text(n) for n in (None, 0, 5, 2048, 205_669_692, 3 << 30)] == [
        "-",
        "-",
        "5 B",
        "2.0 KiB",
        "196 MiB",
        "3.0 GiB",
    ]
    assert [duration_text(s) for s in (5, 185, 7800)] == ["5 s", "3 min 5 s", "2 h 10 min"]
    assert table(("A", "BB"), [("long", "x")]) == "A     BB\nlong  x\n"
