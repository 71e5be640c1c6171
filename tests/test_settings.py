"""The settings table is the one source of options, documentation and what the page is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lama_server.settings import Option, Settings, default_cache_dir, options, public_settings


def test_every_setting_has_its_option() -> None:
    for field in dataclasses.fields(Settings):
        assert isinstance(field.metadata["option"], Option), field.name


def test_no_two_settings_share_a_flag() -> None:
    flags = [flag for _, option, _ in options() for flag in option.flags]
    assert len(flags) == len(set(flags))
    assert all(flag.startswith("--") for flag in flags)


def test_every_help_text_is_a_sentence() -> None:
    assert all(option.help.endswith(".") for _, option, _ in options())


def test_defaults_keep_their_own_limits() -> None:
    for _, option, default in options():
        if option.choices:
            assert default in option.choices
        if option.minimum is not None:
            assert option.minimum <= default <= (option.maximum or default)


def test_the_page_is_told_no_path_and_no_secret() -> None:
    told = public_settings(Settings(token="secret", output_dir=Path("/private"), model_dir=Path("/models")))
    assert not {"token", "output_dir", "model_dir", "data_dir", "input", "host", "allow_host"} & set(told)


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


def test_the_cache_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert default_cache_dir({"XDG_CACHE_HOME": "/elsewhere"}.get) == Path("/elsewhere/lama-server")
