"""The command line: quick help, one clear line for whatever is wrong, documented exit codes."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from fake_engines import WORDED, photo
from inpaint_models import catalog
from lama_server import __version__
from lama_server.cli.logs import JsonLines
from lama_server.cli.main import COMMANDS, main
from lama_server.cli.serve import check_folder, page_address, parser
from lama_server.codec.info import PEAK_BYTES_PER_PIXEL
from lama_server.errors import DiskFull
from lama_server.exits import ExitCode, StartError
from lama_server.http.middleware.policy import shown
from lama_server.settings import Settings
from lama_server.store import saving
from serving import decode, encode, rect_mask

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "server"), str(ROOT / "models")])}


def outcome(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["--version"], capsys) == (0, f"lama-server {__version__}\n", "")


def test_help_names_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = outcome(["--help"], capsys)
    assert code == 0
    assert all(name in text for name in COMMANDS)
    assert all(flag in text for flag in ("--model", "--offline", "--output-dir", "--token-file", "--memory-budget"))


def test_help_and_version_load_nothing_heavy() -> None:
    """What makes them quick, held without a clock."""
    code = (
        "import json, sys\nfrom lama_server.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    heavy = {"fastapi", "starlette", "uvicorn", "pydantic", "numpy", "PIL", "cv2", "torch", "jinja2", "multiprocessing"}
    assert not heavy & set(json.loads(run.stderr))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "nothing"], ExitCode.USAGE, "no model 'nothing'"),
        (["--port", "70000"], ExitCode.USAGE, "70000 is not from 0 to 65535"),
        (["--port", "x"], ExitCode.USAGE, "not a whole number"),
        (["--device", "abacus"], ExitCode.USAGE, "no kind of device 'abacus'. Use one of: auto, cpu, cuda, mps"),
        (["--device", "cpu,"], ExitCode.USAGE, "no kind of device ''"),
        (["--device", "cuda:0,cuda:0"], ExitCode.USAGE, "A device is named twice"),
        (["--device", "cpu,cuda:99"], ExitCode.USAGE, "The device cuda:99 cannot be used here"),
        (["--workers", "0"], ExitCode.USAGE, "0 is not from 1 to 64"),
        (["--nonsense"], ExitCode.USAGE, "--nonsense"),
        (["frobnicate"], ExitCode.USAGE, "no command 'frobnicate'. There are: serve, start, inpaint, run"),
        (["--memory-budget", "1"], ExitCode.USAGE, "1 is not from 64 to 1048576"),
        (["--host", "0.0.0.0", "--port", "0"], ExitCode.USAGE, "--token auto"),
        (["--host", "0.0.0.0", "--port", "0", "--token", ""], ExitCode.USAGE, "--token auto"),
        (["--host", "0.0.0.0", "--port", "0", "--insecure-no-auth", "--token", ""], ExitCode.USAGE, "--token auto"),
        (["--port", "0", "--token", ""], ExitCode.USAGE, "16 to 512"),
        (["--port", "0", "--token", "fifteen-letters"], ExitCode.USAGE, "15 characters"),
        (["--port", "0", "--token", "x" * 513], ExitCode.USAGE, "513 characters"),
        (["--port", "0", "--token", "with a space in between"], ExitCode.USAGE, "without spaces"),
        (["--port", "0", "--token", "schlüssel-mit-umlaut"], ExitCode.USAGE, "ASCII"),
        (["--port", "0", "--token-file", "/no/such/file"], ExitCode.FOLDER, "/no/such/file cannot be read"),
        (["--port", "0", "--token-file", "/"], ExitCode.FOLDER, "Is a directory"),
        (["--port", "0", "--token-file", "/dev/null"], ExitCode.USAGE, "0 characters"),
        (["--port", "0", "--token-file", "/dev/zero"], ExitCode.USAGE, "without spaces"),
        (["--port", "0", "--token", "auto", "--token-file", "/dev/null"], ExitCode.USAGE, "not both"),
        (["--cors-origin", "example.org", "--port", "0"], ExitCode.USAGE, "https://example.org"),
        (["--host", "no.such.host.invalid", "--token", "auto"], ExitCode.USAGE, "cannot be resolved"),
        (["--output-dir", "/no/such/folder"], ExitCode.FOLDER, "--output-dir"),
        (["--output-dir", __file__], ExitCode.FOLDER, "is a file"),
        (["--input", "/no/such/file.jpg"], ExitCode.FOLDER, "--input"),
        (["--data-dir", "/proc/nothing"], ExitCode.FOLDER, "--data-dir"),
        (["--min-free", "1048576", "--port", "0"], ExitCode.DISK_FULL, "lower --min-free"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], code: ExitCode, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = arguments if "--data-dir" in arguments else [*arguments, "--data-dir", str(tmp_path)]
    found, _, error = outcome(given, capsys)
    assert found == code
    assert words in error
    assert error.count("\n") == 1


def test_the_output_folder_is_made_when_only_its_last_part_is_missing(tmp_path: Path) -> None:
    check_folder(tmp_path / "out", "--output-dir")
    assert (tmp_path / "out").is_dir()
    with pytest.raises(StartError, match=r"There is no folder .*missing: make it, or give --output-dir another one"):
        check_folder(tmp_path / "missing" / "out", "--output-dir")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_port_in_use_is_said_with_its_own_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, error = outcome(["--port", str(port), "--data-dir", str(tmp_path)], capsys)
    assert code == ExitCode.PORT_IN_USE
    assert f"Port {port} is in use" in error


def test_settings_come_from_the_table() -> None:
    from lama_server.cli.options import read_settings

    given = ["--offline", "--port", "0", "--allow-host", "a", "--allow-host", "b", "--quality", "80"]
    settings = read_settings(parser().parse_args(given))
    assert settings == Settings(local_files_only=True, port=0, allow_host=("a", "b"), quality=80)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (Settings(), "http://127.0.0.1:8080/"),
        (Settings(host="0.0.0.0", port=9, token="a+b/c&d%e=#f"), "http://127.0.0.1:9/#token=a%2Bb%2Fc%26d%25e%3D%23f"),
        (Settings(host="::1"), "http://[::1]:8080/"),
        (Settings(host="lan.test"), "http://lan.test:8080/"),
    ],
)
def test_the_address_that_is_printed_can_be_opened(settings: Settings, address: str) -> None:
    assert page_address(settings) == address


@pytest.mark.parametrize("made", [True, False])
def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, made: bool) -> None:
    """With a token that it makes and prints, and with one that it is given and keeps to itself."""
    token = "auto" if made else "given-in-the-environment"
    arguments = ["--port", "0", "--data-dir", str(tmp_path), "--model", "opencv", "--host", "0.0.0.0"]
    with (
        subprocess.Popen(
            [sys.executable, "-m", "lama_server", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**ENVIRONMENT, "LAMA_SERVER_TOKEN": token},
        ) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.kill)  # or what fails here would wait for it
        assert process.stdout is not None
        line = process.stdout.readline()
        address, _, printed = line.split()[-1].partition("#token=")
        assert line.startswith(f"lama-server {__version__} is at http://127.0.0.1:")
        assert bool(printed) is made
        limit = process.stdout.readline()
        memory = f"{128e6 * PEAK_BYTES_PER_PIXEL / 2**30:.1f} GiB of memory"
        assert f"up to 128 megapixels and in up to {memory}" in limit, "P5: it is printed at start"
        bearer = {"Authorization": f"Bearer {printed or token}"}
        with urllib.request.urlopen(urllib.request.Request(f"{address}api/v1/config", headers=bearer)) as answer:
            assert token.encode() not in answer.read() or made
        process.send_signal(signal.SIGTERM)
        rest = "".join(process.communicate(timeout=120))
        assert process.returncode == 0
        assert (printed or token) not in rest


def test_a_photo_is_filled_without_a_server(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image, mask, out = tmp_path / "photo.png", tmp_path / "mask.png", tmp_path / "out.png"
    image.write_bytes(encode(photo()))
    mask.write_bytes(encode(rect_mask()))
    given = ["inpaint", str(image), str(mask), "-o", str(out), "--model", "opencv", "--param", "radius=3"]
    code, text, _ = outcome(given, capsys)
    assert (code, text) == (ExitCode.OK, "1 filled, 0 copied, 0 skipped, 0 failed\n")
    filled = decode(out.read_bytes())
    outside = rect_mask() == 0
    assert (filled[outside] == photo()[outside]).all()
    assert (filled != photo()).any()
    code, text, _ = outcome(given, capsys)
    assert text == "0 filled, 0 copied, 1 skipped, 0 failed\n"
    assert outcome([*given, "--param", "radius=0"], capsys)[0] == ExitCode.USAGE
    assert outcome([*given, "--model", "nothing"], capsys)[0] == ExitCode.USAGE


@pytest.mark.parametrize("model", ["opencv", "patchmatch"])
def test_a_photo_is_extended_and_what_is_new_is_filled(
    model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    image, mask, out = tmp_path / "photo.png", tmp_path / "mask.png", tmp_path / "out.png"
    image.write_bytes(encode(photo()))
    mask.write_bytes(encode(rect_mask()))
    height, width = photo().shape[:2]
    given = ["inpaint", str(image), "--model", model, "--extend", "30,0,50,20"]
    assert outcome([*given, "-o", str(out)], capsys)[0] == ExitCode.OK
    filled = decode(out.read_bytes())
    assert filled.shape == (height + 20, width + 80, 3)
    assert (filled[:height, 30 : 30 + width] == photo()).all()
    mirrored = np.pad(photo(), ((0, 20), (30, 50), (0, 0)), mode="symmetric")
    assert (filled != mirrored).any(), "what is new is no mirror image"
    both = tmp_path / "both.png"
    assert outcome([*given, str(mask), "-o", str(both)], capsys)[0] == ExitCode.OK
    inside = decode(both.read_bytes())[:height, 30 : 30 + width]
    assert (inside[rect_mask() == 0] == photo()[rect_mask() == 0]).all()
    assert (inside != photo()).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out.png"], "Give a mask"),
        (["-o", "out.png", "--extend", "0,256"], "LEFT,TOP,RIGHT,BOTTOM"),
        (["-o", "out.png", "--extend", "0,0,0,0"], "more than 0"),
        (["-o", "out.png", "--extend", "0,-1,0,0"], "LEFT,TOP,RIGHT,BOTTOM"),
    ],
)
def test_an_extension_that_says_nothing_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], pair: list[str]
) -> None:
    code, _, error = outcome(["inpaint", pair[0], *arguments], capsys)
    assert code == ExitCode.USAGE
    assert words in error


def test_words_and_a_picture_are_given_as_parameters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: list[str]
) -> None:
    monkeypatch.setattr(catalog, "ENTRIES", (*catalog.ENTRIES, WORDED))
    green, out = tmp_path / "green.png", tmp_path / "out.png"
    green.write_bytes(encode(np.full((20, 30, 3), (0, 200, 0), np.uint8)))
    given = [*pair[:-1], "worded", "-o", str(out), "--format", "png", "--param", "prompt=a red = car"]
    assert outcome([*given, "--param", f"example={green}"], capsys)[0] == ExitCode.OK
    assert decode(out.read_bytes())[25, 30].tolist() == [0, 200, 0]
    code, _, said = outcome([*given, "--param", "example=missing.png"], capsys)
    assert code == ExitCode.USAGE
    assert "The picture missing.png cannot be read: No such file or directory" in said
    (tmp_path / "text.png").write_bytes(b"words")
    assert outcome([*given, "--param", f"example={tmp_path / 'text.png'}"], capsys)[0] == ExitCode.USAGE


def test_a_model_of_another_task_fills_no_holes(capsys: pytest.CaptureFixture[str], pair: list[str]) -> None:
    code, _, said = outcome([*pair[:-1], "grabcut", "-o", "out.png"], capsys)
    assert (code, "GrabCut is there to select, not to fill." in said) == (ExitCode.USAGE, True)
    code, _, said = outcome(["--model", "grabcut", "--port", "0"], capsys)
    assert (code, "GrabCut is there to select, not to fill." in said) == (ExitCode.USAGE, True)


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """The beginning of a command: a photo and a mask, filled by OpenCV."""
    (tmp_path / "photo.jpg").write_bytes(encode(photo(), "JPEG"))
    (tmp_path / "mask.png").write_bytes(encode(rect_mask()))
    return ["inpaint", str(tmp_path / "photo.jpg"), str(tmp_path / "mask.png"), "--model", "opencv"]


def test_both_spellings_of_the_quality_count(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, pair: list[str]
) -> None:
    results = []
    for name, quality in (("own", []), ("space", ["--quality", "20"]), ("equals", ["--quality=20"])):
        out = tmp_path / f"{name}.jpg"
        code, _, said = outcome([*pair, "-o", str(out), *quality], capsys)
        assert code == ExitCode.OK
        assert ("photo.jpg: The whole JPEG was encoded anew: a quality was chosen." in said) is bool(quality)
        results.append(out.read_bytes())
    own, space, equals = results
    assert space == equals
    assert len(space) < len(own)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--param", "radius"], "'radius' is not of the form NAME=VALUE"),
        (["--param", "=3"], "'=3' is not of the form NAME=VALUE"),
        (["--param", "radius=wide"], "radius must be a whole number, not 'wide'"),
        (["--param", "nothing=1"], "opencv has no parameter 'nothing'. It has: method, radius"),
        (["--model", "lama", "--param", "refine=1"], "refine must be true or false, not '1'"),
        (["--seed", "-1"], "seed is -1; it must be from 0 to 4294967295"),
    ],
)
def test_what_is_wrong_with_a_fill_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, pair: list[str], more: list[str], words: str
) -> None:
    code, _, error = outcome([*pair, "-o", str(tmp_path / "out.png"), *more], capsys)
    assert (code, error.count("\n")) == (ExitCode.USAGE, 1)
    assert words in error
    assert not (tmp_path / "out.png").exists()


def test_a_result_that_cannot_be_written_is_no_read_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pair: list[str]
) -> None:
    code, _, error = outcome([*pair, "-o", "/proc/nothing/out.png"], capsys)
    assert code == ExitCode.FOLDER
    assert "The output folder cannot be written to" in error
    assert "Output: /proc/nothing/out.png" in error

    def full(*args: object) -> str:
        raise DiskFull("The disk is full.")

    monkeypatch.setattr(saving, "save_new", full)
    assert outcome([*pair, "-o", "out.png"], capsys)[0] == ExitCode.DISK_FULL


def test_help_for_a_fill_says_what_its_options_mean_there(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(outcome(["inpaint", "--help"], capsys)[1].split())
    assert "Model that fills: patchmatch, opencv, migan, lama," in text
    assert "the page" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_each_group_of_options_once(capsys: pytest.CaptureFixture[str], command: str) -> None:
    lines = outcome([command, "--help"], capsys)[1].splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert len(titles) == len(set(titles))


def test_nothing_in_a_request_can_make_a_log_line_look_like_another() -> None:
    """B105: one line for each record, of printable ASCII."""
    hostile = 'name\r\n{"level": "error"}\x1b[2J\u202e\u2028\x00'
    record = logging.LogRecord("lama_server", logging.INFO, "", 0, "saved %s", (hostile,), None)
    line = JsonLines().format(record)
    assert re.fullmatch(r"[ -~]+", line)
    assert json.loads(line)["message"] == f"saved {hostile}"
    assert re.fullmatch(r"[^\x00-\x1f\u2028\u202e]+", shown(hostile))
