"""Files are found where people have them, and believed only for a reason."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from pkgutil import resolve_name

import pytest
from platformdirs.windows import Windows

from fetching import safetensors
from inpaint_models.errors import UnsafeWeights, WeightsCorrupted, WeightsMissing
from inpaint_models.folders import default_cache_dir, hub_address, hub_cache_dirs, torch_hub_dirs
from inpaint_models.registry import Licence, ModelEntry, WeightsFile, listed
from inpaint_models.weights import accept, default_model_dir, download, hash_cache, locate
from inpaint_models.weights.locate import Check

CONTENT = b"PK published weights"
NAME = "big-lama.pt"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


PUBLISHED = WeightsFile(
    NAME,
    ("https://files.example/big-lama.pt", "https://huggingface.co/owner/Big/resolve/main/sub/other-name.pt"),
    len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest(),
)


def entry(*files: WeightsFile, alternatives: tuple[tuple[WeightsFile, ...], ...] = ()) -> ModelEntry:
    return ModelEntry(
        name="lama",
        title="LaMa",
        tagline="",
        description="",
        licence=Licence("MIT", ""),
        loader="nowhere:load",
        weights=files,
        alternatives=alternatives,
    )


ENTRY = entry(PUBLISHED)


@pytest.fixture(autouse=True)
def home(own_home: Path) -> Path:
    return own_home


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_model_without_weights_is_ready(tmp_path: Path) -> None:
    files = locate(entry(), tmp_path)
    assert (files.status, files.paths, files.explain()) == ("ready", {}, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "folder"), [("unix.Unix", ".cache/lama-server"), ("macos.MacOS", "Library/Caches/lama-server")]
)
def test_the_model_folder_is_in_the_cache_of_the_platform(
    home: Path, monkeypatch: pytest.MonkeyPatch, platform: str, folder: str
) -> None:
    monkeypatch.setattr("platformdirs.PlatformDirs", resolve_name(f"platformdirs.{platform}"))
    assert default_cache_dir() == home / folder
    assert default_model_dir() == home / folder / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "x"))
    assert default_model_dir() == home / "x/lama-server/models"
    monkeypatch.setenv("LAMA_SERVER_MODEL_DIR", "~/here")
    assert default_model_dir() == home / "here"


def test_on_windows_downloads_stay_where_they_have_always_been(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.PlatformDirs", Windows)
    monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda _name: "/local")
    assert default_model_dir() == Path("/local/lama-server/models")


@pytest.mark.parametrize(
    "place",
    [
        "models/big-lama.pt",
        "models/lama/big-lama.pt",
        "home/.cache/torch/hub/checkpoints/big-lama.pt",
        "home/.cache/torch/hub/checkpoints/other-name.pt",
        "xdg/torch/hub/checkpoints/big-lama.pt",
        "torch/hub/checkpoints/big-lama.pt",
        "home/.cache/huggingface/hub/models--owner--Big/snapshots/0123abc/sub/other-name.pt",
        "xdg/huggingface/hub/models--owner--Big/snapshots/0123abc/sub/other-name.pt",
        "hub/models--owner--Big/snapshots/0123abc/sub/other-name.pt",
        "hf/hub/models--owner--Big/snapshots/0123abc/sub/other-name.pt",
    ],
)
def test_a_file_is_found_where_people_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    for name, value in (("XDG_CACHE_HOME", "xdg"), ("TORCH_HOME", "torch"), ("HF_HUB_CACHE", "hub"), ("HF_HOME", "hf")):
        monkeypatch.setenv(name, str(tmp_path / value))
    path = put(tmp_path / place)
    state = locate(ENTRY, tmp_path / "models").files[0]
    assert (state.status, state.path, state.proof) == ("ready", path, "sha256")
    assert download(ENTRY, tmp_path / "models").paths == {NAME: path}


def test_a_file_of_the_right_name_that_is_not_the_published_one_is_passed_over(home: Path, tmp_path: Path) -> None:
    put(tmp_path / "models" / NAME, b"x" * len(CONTENT))
    good = put(home / ".cache/torch/hub/checkpoints" / NAME)
    assert locate(ENTRY, tmp_path / "models").paths == {NAME: good}


def test_what_is_missing_is_said_with_its_place_size_and_source(tmp_path: Path) -> None:
    big = entry(WeightsFile(NAME, PUBLISHED.sources, 205_669_692, PUBLISHED.sha256))
    files = locate(big, tmp_path)
    assert files.status == "missing"
    with pytest.raises(WeightsMissing) as error:
        files.require_ready()
    for part in ("LaMa needs big-lama.pt (196 MiB)", "model folder", "https://files.example/big-lama.pt"):
        assert part in str(error.value)


DAMAGE = {
    "empty": b"",
    "cut": CONTENT[:-1],
    "one bit": CONTENT[:5] + bytes([CONTENT[5] ^ 4]) + CONTENT[6:],
    "another file": b"x" * 99,
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    """B115."""
    path = put(tmp_path / NAME, content)
    files = locate(ENTRY, tmp_path)
    assert files.status == "corrupted"
    with pytest.raises(WeightsCorrupted, match=r"big-lama\.pt"):
        files.require_ready()
    with pytest.raises(WeightsCorrupted):
        download(ENTRY, tmp_path, local_files_only=True)
    assert path.read_bytes() == content


def test_an_unreadable_file_is_an_answer_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / NAME)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    state = locate(ENTRY, tmp_path).files[0]
    assert state.status == "corrupted"
    assert "Permission denied" in state.note


def test_a_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / NAME)
    assert locate(ENTRY, tmp_path).status == "ready"

    def refuse(*_: object) -> None:
        raise AssertionError("hashed again")

    monkeypatch.setattr(hash_cache, "digests_of", refuse)
    assert locate(ENTRY, tmp_path).status == "ready"
    assert locate(ENTRY, tmp_path, check="cached").status == "ready"
    with pytest.raises(AssertionError, match="hashed again"):
        locate(ENTRY, tmp_path, check="all")


def test_a_list_hashes_nothing_and_says_so(tmp_path: Path) -> None:
    put(tmp_path / NAME)
    files = locate(ENTRY, tmp_path, check="cached")
    assert files.status == "unverified"
    assert files.paths == {NAME: tmp_path / NAME}
    assert not (tmp_path / hash_cache.FILE_NAME).exists()


def test_a_file_that_was_touched_is_hashed_again(tmp_path: Path) -> None:
    path = put(tmp_path / NAME)
    assert locate(ENTRY, tmp_path).status == "ready"
    path.write_bytes(CONTENT[::-1])
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert locate(ENTRY, tmp_path, check="cached").status == "unverified"
    assert locate(ENTRY, tmp_path).status == "corrupted"
    assert locate(ENTRY, tmp_path, check="cached").status == "corrupted"


def test_verify_notices_a_bit_that_flipped_behind_our_back(tmp_path: Path) -> None:
    path = put(tmp_path / NAME)
    assert locate(ENTRY, tmp_path).status == "ready"
    stat = path.stat()
    path.write_bytes(DAMAGE["one bit"])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert locate(ENTRY, tmp_path).status == "ready"
    assert locate(ENTRY, tmp_path, check="all").status == "corrupted"
    assert locate(ENTRY, tmp_path).status == "corrupted"


@pytest.mark.parametrize("content", [b"", b"junk", b"[]", b'{"files": {"a": {"size": 1}}}', b'{"files": 5}', b"\xff"])
def test_a_damaged_memory_costs_a_rehash_only(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / NAME)
    put(tmp_path / hash_cache.FILE_NAME, content)
    assert locate(ENTRY, tmp_path).status == "ready"
    assert locate(ENTRY, tmp_path, check="cached").status == "ready"


def test_a_folder_that_cannot_be_written_to_still_serves(home: Path, tmp_path: Path) -> None:
    put(home / ".cache/torch/hub/checkpoints" / NAME)
    blocked = put(tmp_path / "models", b"a file is in the way")
    assert locate(ENTRY, blocked).status == "ready"


def test_an_md5_counts_only_where_no_sha256_is_known(tmp_path: Path) -> None:
    put(tmp_path / NAME)
    by_md5 = WeightsFile(NAME, (), md5=md5(CONTENT))
    assert locate(entry(by_md5), tmp_path).files[0].proof == "md5"
    both = WeightsFile(NAME, (), sha256="0" * 64, md5=md5(CONTENT))
    assert locate(entry(both), tmp_path).status == "corrupted"


@pytest.mark.parametrize("name", ["lama/best.ckpt", "lama/mine.safetensors", "big-lama.safetensors", "big-lama.ckpt"])
def test_another_form_put_there_by_hand_is_taken_and_remembered(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, safetensors())
    state = locate(ENTRY, tmp_path).files[0]
    assert (state.status, state.path, state.proof) == ("ready", path, "first-use")
    assert hashlib.sha256(safetensors()).hexdigest() in state.note


def test_a_file_chosen_by_hand_goes_before_a_published_one(tmp_path: Path) -> None:
    put(tmp_path / NAME)
    mine = put(tmp_path / "lama/mine.safetensors", safetensors())
    assert locate(ENTRY, tmp_path).paths == {NAME: mine}


def test_a_file_of_unknown_hash_may_not_change_unless_somebody_says_so(tmp_path: Path) -> None:
    path = put(tmp_path / "lama/mine.safetensors", safetensors())
    assert locate(ENTRY, tmp_path).status == "ready"
    put(path, safetensors(b"5678"))
    os.utime(path, (1, 1))
    state = locate(ENTRY, tmp_path).files[0]
    assert state.status == "corrupted"
    assert "has changed since its first use" in state.note
    assert accept(ENTRY, tmp_path).status == "ready"
    assert locate(ENTRY, tmp_path).status == "ready"


@pytest.mark.parametrize("check", ["cached", "new", "all"])
def test_looking_for_files_runs_nothing_that_is_in_them(tmp_path: Path, check: Check) -> None:
    canary = tmp_path / "canary"
    put(tmp_path / "models/lama/best.ckpt", f"cos\nsystem\n(Vtouch {canary}\ntR.".encode())
    put(tmp_path / "models/lama/last.ckpt", b"\x80\x02" + f"cos\nsystem\n(Vtouch {canary}\ntR.".encode())
    assert locate(ENTRY, tmp_path / "models", check=check).status in ("corrupted", "unsafe")
    assert not canary.exists()


@pytest.mark.parametrize("name", [NAME, "lama/best.ckpt", "big-lama.pth"])
def test_a_pickle_in_the_model_folder_is_called_one_and_never_runs(tmp_path: Path, name: str) -> None:
    """B116: also where only a list is asked for, before and after it was hashed."""
    canary = tmp_path / "canary"
    path = put(tmp_path / "models" / name, b"\x80\x02" + f"cos\nsystem\n(Vtouch {canary}\ntR.".encode())
    checks: tuple[Check, ...] = ("cached", "new", "cached", "all")
    assert [locate(ENTRY, tmp_path / "models", check=check).status for check in checks] == ["unsafe"] * 4
    with pytest.raises(UnsafeWeights, match=f"{path.name} is a Python pickle that was not written by torch.save"):
        download(ENTRY, tmp_path / "models", local_files_only=True)
    assert not canary.exists()


def test_a_damaged_file_of_another_set_is_named_where_no_set_is_whole(tmp_path: Path) -> None:
    whole = WeightsFile("whole.ckpt", ())
    put(tmp_path / "whole.ckpt", b"")
    found = locate(entry(PUBLISHED, alternatives=((whole,),)), tmp_path)
    assert found.explain() == (
        "whole.ckpt is empty. Delete it and download it again. For whole.ckpt: put it into the model folder."
    )
    put(tmp_path / NAME, b"")
    assert "big-lama.pt has 0 bytes" in locate(found.entry, tmp_path).explain()
    put(tmp_path / NAME)
    assert locate(found.entry, tmp_path).explain() == ""


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", safetensors()[:30]], ids=["empty", "page", "cut"])
def test_a_list_knows_a_damaged_file_whose_size_was_not_published(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "lama/mine.safetensors", content)
    assert locate(ENTRY, tmp_path, check="cached").status == "corrupted"


def test_accepting_never_vouches_for_a_published_file(tmp_path: Path) -> None:
    put(tmp_path / NAME, DAMAGE["one bit"])
    assert accept(ENTRY, tmp_path).status == "corrupted"


def test_an_alternative_set_serves_when_it_is_whole(tmp_path: Path) -> None:
    one, two = (WeightsFile(name, (), sha256=PUBLISHED.sha256) for name in ("one.pt", "two.pt"))
    both = entry(PUBLISHED, alternatives=((one, two),))
    put(tmp_path / "one.pt")
    assert [state.file.name for state in locate(both, tmp_path).files] == [NAME]
    put(tmp_path / "two.pt")
    assert locate(both, tmp_path).paths == {"one.pt": tmp_path / "one.pt", "two.pt": tmp_path / "two.pt"}


def test_a_part_of_one_set_is_never_taken_for_another_set(tmp_path: Path) -> None:
    one, two = (WeightsFile(name, (), sha256=PUBLISHED.sha256) for name in ("one.pt", "two.pt"))
    whole = WeightsFile("whole.ckpt", ())
    model = entry(one, two, alternatives=((whole,),))
    put(tmp_path / "lama/one.pt")
    assert locate(model, tmp_path).status == "missing"
    own = put(tmp_path / "lama/my-own.safetensors", safetensors())
    assert locate(model, tmp_path).paths == {"whole.ckpt": own}


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("hf://owner/name@abc/sub/file.pt", ("owner/name", "abc", "sub/file.pt")),
        ("hf://owner/name/file.pt", ("owner/name", "main", "file.pt")),
        ("https://huggingface.co/owner/name/resolve/abc/sub/file.pt", ("owner/name", "abc", "sub/file.pt")),
        ("https://huggingface.co/owner/name/blob/abc/file.pt", None),
        ("https://github.com/owner/name/resolve/abc/file.pt", None),
        ("https://huggingface.co.evil.example/owner/name/resolve/abc/file.pt", None),
    ],
)
def test_hugging_face_addresses_are_understood(source: str, address: tuple[str, str, str] | None) -> None:
    assert hub_address(source) == address


def test_every_folder_is_named_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("TORCH_HOME", str(home / ".cache/torch"))
    assert torch_hub_dirs() == (home / ".cache/torch/hub/checkpoints",)
    assert hub_cache_dirs() == (home / ".cache/huggingface/hub",)


def test_several_missing_files_are_asked_for_in_one_sentence(tmp_path: Path) -> None:
    files = [WeightsFile(name, (f"https://files.example/{name}",), size) for name, size in (("a", None), ("b", 2**21))]
    assert locate(entry(*files), tmp_path).explain() == (
        "LaMa needs a and b (2 MiB), which are not on this machine: run lama-server download lama, or get them from "
        "https://files.example/a and https://files.example/b and put them into the model folder."
    )
    assert listed([*files, *files]) == "a, b (2 MiB), a and b (2 MiB)"


def test_offline_no_message_advises_a_download(tmp_path: Path) -> None:
    missing = locate(entry(WeightsFile("a", ("https://files.example/a",), 2**21)), tmp_path)
    assert missing.explain(offline=True, folder=tmp_path) == (
        "LaMa needs a (2 MiB), which is not on this machine: start once without --offline, or get it from "
        f"https://files.example/a and put it into the model folder {tmp_path}."
    )
    with pytest.raises(WeightsMissing, match="start once without --offline"):
        download(missing.entry, tmp_path, local_files_only=True)


def test_a_file_without_a_source_is_asked_for_by_hand(tmp_path: Path) -> None:
    assert locate(entry(WeightsFile("a", ())), tmp_path).explain() == (
        "LaMa needs a, which is not on this machine: put it into the model folder."
    )


def test_what_is_damaged_is_said_before_what_to_do(tmp_path: Path) -> None:
    put(tmp_path / NAME, b"x")
    assert locate(ENTRY, tmp_path).explain() == (
        "big-lama.pt has 1 bytes; the published file has 20. For big-lama.pt (0 MiB): run lama-server download lama, "
        "or get it from https://files.example/big-lama.pt and put it into the model folder."
    )
