"""The settings table is the one source of options, documentation and what the page is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from inpaint_models.folders import default_model_dir
from lama_server.app import create_app
from lama_server.exits import ExitCode, StartError
from lama_server.http.access import access_policy
from lama_server.settings import Limits, Settings, public_settings, table

TOKEN = "the-right-token-of-this-file"


def test_every_setting_is_a_row_of_the_table() -> None:
    assert [*(row.name for row in table()), "sources"] == [field.name for field in dataclasses.fields(Settings)]
    assert all(row.option.help.endswith(".") for row in table())
    assert all(row.option.metavar for row in table() if row.kind != "flag" and not row.choices)


def test_no_two_settings_share_a_flag() -> None:
    flags = [flag for row in table() for flag in row.flags]
    assert len(flags) == len(set(flags))
    assert all(flag.startswith("--") for flag in flags)


def test_defaults_keep_their_own_limits() -> None:
    for row in table():
        if row.choices:
            assert row.default in row.choices
        if row.kind == "int":
            low, high = row.option.bounds or (0, 0)
            assert low <= row.default <= high


def test_the_page_is_told_no_path_and_no_secret() -> None:
    settings = Settings(token=TOKEN, output_dir=Path("/private"), model_dir=Path("/models"))
    told = public_settings(settings)
    assert not {"token", "token_file", "output_dir", "model_dir", "data_dir", "input", "host", "allow_host"} & set(told)
    assert TOKEN not in f"{settings}{access_policy(settings, Limits())}"


def test_several_devices_are_named_with_commas() -> None:
    assert Settings().devices == ("auto",)
    assert Settings(device="cuda:0, cuda:1").devices == ("cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_only_loopback_counts_as_this_machine(host: str, loopback: bool) -> None:
    assert Settings(host=host).is_loopback is loopback


def test_documents_and_weights_lie_in_one_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("inpaint_models.folders.user_cache_path", lambda name, **_: tmp_path / name)
    assert Settings().resolved_data_dir() == tmp_path / "lama-server/documents"
    assert default_model_dir() == tmp_path / "lama-server/models"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    "token", ["", " ", "auto", "short", "fifteen-letters", "x" * 513, "sixteen  letters", TOKEN + "\n"]
)
def test_p13_the_application_does_not_start_with_a_token_that_protects_nothing(host: str, token: str) -> None:
    with pytest.raises(StartError, match=f"{len(token)} characters.*16 to 512 .*--token auto") as refused:
        create_app(Settings(host=host, token=token, insecure_no_auth=True))
    assert refused.value.code == ExitCode.USAGE
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("token", ["sixteen-letters!", "x" * 512, TOKEN])
def test_p13_sixteen_characters_are_a_token(token: str) -> None:
    assert access_policy(Settings(host="0.0.0.0", token=token), Limits()).token == token


def test_p13_an_application_made_with_a_token_file_is_not_open(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert access_policy(Settings(host="0.0.0.0", token_file=file), Limits()).token == TOKEN
    file.write_text("\n")
    with pytest.raises(StartError, match="0 characters"):
        access_policy(Settings(token_file=file), Limits())
