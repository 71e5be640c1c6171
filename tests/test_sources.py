"""Settings from flags, variables and a file: each row of the table, which of them counts, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tools.reference import EXAMPLE

from lama_server.cli import sources
from lama_server.cli.main import main
from lama_server.cli.options import read_settings
from lama_server.cli.serve import parser
from lama_server.exits import ExitCode, StartError
from lama_server.http.access import with_token
from lama_server.settings import Setting, Settings, table

TOKEN = "the-right-token-of-this-file"
ROWS = pytest.mark.parametrize("row", table(), ids=lambda row: row.key)


def values(row: Setting) -> tuple[Any, Any, Any]:
    """Three values, each unlike the one before it and the first unlike the default."""
    if row.choices:
        others = [choice for choice in row.choices if choice != row.default]
        return others[0], others[1 % len(others)], others[0]
    low, high = row.option.bounds or (0, 0)
    by_kind: dict[str, tuple[Any, Any, Any]] = {
        "text": ("one", "two", "three"),
        "int": (low, high, low + 1),
        "flag": (not row.default, row.default, not row.default),
        "path": (Path("/one"), Path("/two"), Path("/three")),
        "list": (("one",), ("two", "three"), ("four", "five")),
    }
    return by_kind[row.kind]


def on_the_command_line(row: Setting, value: Any) -> list[str]:
    if row.kind == "flag":
        return [f"--{row.key}" if value else f"--no-{row.key}"]
    return [word for part in (value if row.kind == "list" else (value,)) for word in (row.flags[0], str(part))]


def in_a_variable(row: Setting, value: Any) -> str:
    return ",".join(value) if row.kind == "list" else str(value).lower() if row.kind == "flag" else str(value)


def in_a_file(row: Setting, value: Any) -> str:
    return f"{row.key} = {json.dumps(str(value) if row.kind == 'path' else value)}\n"


def settings_of(*arguments: str) -> Settings:
    return read_settings(parser().parse_args(arguments))


def refusal(*arguments: str) -> StartError:
    with pytest.raises(StartError) as refused:
        settings_of(*arguments)
    assert "\n" not in str(refused.value)
    return refused.value


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file with settings, which is read."""
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv(sources.CONFIG_VARIABLE, str(path))
    return path


@ROWS
def test_every_setting_comes_from_the_file_or_a_variable_or_a_flag_each_outdoing_the_one_before(
    row: Setting, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*arguments: str) -> tuple[Any, str]:
        settings = settings_of(*arguments)
        return getattr(settings, row.name), settings.named(row.name)

    in_file, in_variable, on_line = values(row)
    assert found() == (row.default, row.flags[0])
    file.write_text(in_a_file(row, in_file))
    assert found() == (in_file, f"{row.key} in {file}")
    monkeypatch.setenv(row.variable, in_a_variable(row, in_variable))
    if not row.secret:  # the variable is gone after the first reading
        assert found() == (in_variable, row.variable)
    monkeypatch.setenv(row.variable, in_a_variable(row, in_variable))
    assert found(*on_the_command_line(row, on_line)) == (on_line, row.flags[0])


@pytest.mark.parametrize("row", [row for row in table() if row.choices or row.kind == "int"], ids=lambda row: row.key)
def test_a_wrong_value_is_refused_alike_wherever_it_comes_from(
    row: Setting, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: Any = "abacus" if row.choices else (row.option.bounds or (0, 0))[1] + 1
    with pytest.raises(SystemExit):
        settings_of(*on_the_command_line(row, wrong))
    said = capsys.readouterr().err
    reason = said.partition(f"argument {', '.join(row.flags)}: ")[2].removesuffix(". See lama-server --help.\n")
    assert str(wrong) in reason
    monkeypatch.setenv(row.variable, str(wrong))
    assert str(refusal()) == f"{row.variable}: {reason}."
    monkeypatch.delenv(row.variable)
    file.write_text(in_a_file(row, wrong))
    assert str(refusal()) == f"{row.key} in {file}: {reason}."


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('port = "9000"', "port in {file}: '9000' is not a whole number."),
        ("port = true", "port in {file}: True is not a whole number."),
        ("inbrowser = 1", "inbrowser in {file}: 1 is not true or false."),
        ("model = 3", "model in {file}: 3 is not a text in quotes."),
        ("data-dir = []", "data-dir in {file}: [] is not a text in quotes."),
        ('allow-host = "a"', "allow-host in {file}: 'a' is not a list of texts"),
        ("allow-host = [1]", "allow-host in {file}: [1] is not a list of texts"),
        ("token = 1234567890123456", "token in {file}: it must be a text in quotes."),
        ("prot = 9000", "{file}: there is no setting 'prot'; the nearest is 'port'."),
        ("memory_budget = 64", "{file}: there is no setting 'memory_budget'; the nearest is 'memory-budget'."),
        ("[server]\nport = 1", "{file}: there is no setting 'server'; the nearest is"),
        ("port = 1\n= 2", "{file} is not a TOML file: Invalid statement (at line 2, column 1)."),
        ("model = '\udcff'", "{file} is not a TOML file: "),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name_and_key(file: Path, line: str, words: str) -> None:
    file.write_text(line, encoding="utf-8", errors="surrogateescape")
    error = refusal()
    assert error.code == ExitCode.USAGE
    assert str(error).startswith(words.format(file=file))


def test_a_file_that_was_asked_for_must_be_there(file: Path) -> None:
    error = refusal("--config", "/no/such/file.toml")
    assert error.code == ExitCode.FOLDER
    assert "The file /no/such/file.toml cannot be read" in str(error)


def test_the_file_is_that_of_the_flag_else_of_the_variable_else_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda name, *, appauthor: tmp_path / name)
    monkeypatch.delenv(sources.CONFIG_VARIABLE)
    assert settings_of().port == Settings().port, "there need not be any"
    usual = tmp_path / "lama-server" / "config.toml"
    usual.parent.mkdir()
    places = {path: port for port, path in enumerate((usual, tmp_path / "variable.toml", tmp_path / "flag.toml"), 9000)}
    for path, port in places.items():
        path.write_text(f"port = {port}\n")
    _, of_variable, of_flag = places
    assert settings_of().port == 9000
    monkeypatch.setenv(sources.CONFIG_VARIABLE, str(of_variable))
    assert settings_of().port == 9001
    assert settings_of("--config", str(of_flag)).port == 9002


def test_paths_lose_their_tilde_and_those_of_a_file_count_from_its_folder(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('data-dir = "data"\noutput-dir = "~/out"\ninput = "/a.png"\n')
    monkeypatch.setenv("LAMA_SERVER_MODEL_DIR", "~/models")
    found = settings_of("--token-file", "~/token")
    assert (found.data_dir, found.output_dir, found.input) == (
        file.parent / "data",
        Path.home() / "out",
        Path("/a.png"),
    )
    assert (found.model_dir, found.token_file) == (Path.home() / "models", Path.home() / "token")


def test_the_documented_file_is_read(file: Path) -> None:
    file.write_text(EXAMPLE)
    found = settings_of()
    assert (found.model, found.port, found.allow_host) == ("lama", 9000, ("photos.lan",))
    assert found.output_dir == Path.home() / "Pictures" / "cleaned"


def test_a_list_is_repeated_flags_or_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMA_SERVER_CORS_ORIGIN", " https://a.test, https://b.test,")
    found = settings_of("--allow-host", "a,b", "--allow-host", "c")
    assert found.allow_host == ("a", "b", "c")
    assert found.cors_origin == ("https://a.test", "https://b.test")


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_a_switch_in_a_variable_takes_the_usual_words(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("LAMA_SERVER_INBROWSER", word)
    assert settings_of().inbrowser
    assert not settings_of("--no-inbrowser").inbrowser
    monkeypatch.setenv("LAMA_SERVER_INBROWSER", "perhaps")
    assert str(refusal()) == "LAMA_SERVER_INBROWSER: 'perhaps' is not true or false."


def test_an_empty_variable_is_not_set_but_an_empty_token_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in table():
        monkeypatch.setenv(row.variable, "")
    assert settings_of() == Settings(token="")


@pytest.mark.parametrize(
    ("argument", "in_file", "variable", "found"),
    [
        (TOKEN, None, "of-the-environment", TOKEN),
        (None, f"{TOKEN}\n", "of-the-environment", TOKEN),
        (None, f"{TOKEN}\r\n", None, TOKEN),
        (None, "", "of-the-environment", ""),
        (None, None, "of-the-environment", "of-the-environment"),
        (None, None, "", ""),
        ("", None, "of-the-environment", ""),
        (None, None, None, None),
    ],
)
def test_p13_a_token_comes_from_the_flag_its_file_or_the_environment_in_this_order(
    tmp_path: Path, argument: str | None, in_file: str | None, variable: str | None, found: str | None
) -> None:
    flags: dict[str, Any] = {} if argument is None else {"token": argument}
    if in_file is not None:
        flags["token_file"] = tmp_path / "token"
        flags["token_file"].write_bytes(in_file.encode())
    environment = {"HOME": "/home"} if variable is None else {"HOME": "/home", "LAMA_SERVER_TOKEN": variable}
    settings = with_token(sources.read(flags, ("token", "token_file"), None, environment))
    assert (settings.token, settings.token_file) == (found, None)
    assert environment == {"HOME": "/home"}, "worker processes do not inherit it"


def test_p13_two_tokens_from_one_place_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('token = "a"\ntoken-file = "b"\n')
    with pytest.raises(StartError, match=r"Give token in .*config\.toml or token-file in .*config\.toml, not both"):
        with_token(settings_of())
    monkeypatch.setenv("LAMA_SERVER_TOKEN_FILE", "/token")
    found = settings_of()
    assert (found.token, found.token_file) == (None, Path("/token")), "a variable outdoes both"


def test_the_settings_are_shown_with_their_sources_and_no_secret(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(f'token = "{TOKEN}"\nallow-host = ["a", "b"]\n')
    monkeypatch.setenv("LAMA_SERVER_PORT", "9000")
    monkeypatch.setenv("LAMA_SERVER_PROT", "9001")
    assert main(["--show-settings", "--output-dir", "/no/such/folder"]) == ExitCode.OK
    text = capsys.readouterr().out
    shown = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert TOKEN not in text
    assert shown["token"] == ["(not", "shown)", "token", "in", str(file)]
    assert shown["allow-host"] == ["a,", "b", "allow-host", "in", str(file)]
    assert shown["port"] == ["9000", "LAMA_SERVER_PORT"]
    assert shown["output-dir"] == ["/no/such/folder", "--output-dir"]
    assert shown["quality"] == ["95", "default"]
    assert f"Config file: {file}" in text
    assert "There is no setting of the variable LAMA_SERVER_PROT." in text


def test_what_is_wrong_at_start_is_said_of_the_place_it_came_from(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('output-dir = "/no/such/folder"\n')
    assert main(["--port", "0", "--data-dir", str(file.parent)]) == ExitCode.FOLDER
    assert f"give output-dir in {file} another one" in capsys.readouterr().err
    file.write_text('model = "nothing"\n')
    assert main(["--port", "0"]) == ExitCode.USAGE
    assert f"model in {file}: There is no model 'nothing'" in capsys.readouterr().err


def test_other_commands_read_the_same_places(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('model-dir = "weights"\nport = 9000\nlocal-files-only = true\n')
    assert main(["models"]) == ExitCode.OK
    assert f"Model folder: {file.parent / 'weights'}" in capsys.readouterr().out
    assert main(["download", "lama"]) == ExitCode.NETWORK_NEEDED, "the file says offline"
    assert main(["models", "--config", os.devnull]) == ExitCode.OK
    assert str(file.parent) not in capsys.readouterr().out
