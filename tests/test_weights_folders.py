"""Weights that are a folder: found whole or not at all, and fetched file by file from one revision of a repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fake_engines import entry as fake_entry
from fake_hub import FakeHub, Fault
from inpaint_models.errors import Cancelled, DownloadFailed, WeightsCorrupted, WeightsMissing
from inpaint_models.registry import FolderFile, LoadContext, ModelEntry, WeightsFile, WeightsFolder
from inpaint_models.weights import Network, TransferProgress, download, locate

REVISION = "0123456789abcdef" * 2 + "01234567"
UNET = (8).to_bytes(8, "little") + b'{"a":{}}' + bytes(100_000)
CONTENT = {"model_index.json": b'{"_class_name": "Tiny"}', "unet/model.safetensors": UNET, "notes.txt": b"any words"}
BASE = f"somebody/tiny/resolve/{REVISION}"


pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Also has a file that is not on the list."""
    files = {f"{BASE}/{path}": content for path, content in CONTENT.items()}
    with FakeHub({**files, f"{BASE}/unet/model.bin": b"a pickle"}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.root)
        yield running


NETWORK = Network(plain_http_hosts=frozenset({"127.0.0.1"}), tries=2, sleep=lambda _: None)


def folder_of(**known: bool) -> WeightsFolder:
    """`sizes` and `sums`: whether they were published."""
    return WeightsFolder(
        "tiny-v1",
        "somebody/tiny",
        REVISION,
        tuple(
            FolderFile(
                path,
                len(content) if known.get("sizes", True) else None,
                hashlib.sha256(content).hexdigest() if known.get("sums", True) else None,
            )
            for path, content in CONTENT.items()
        ),
    )


FOLDER = folder_of()
ENTRY = fake_entry("tiny")


def entry(*artifacts: WeightsFolder | WeightsFile) -> ModelEntry:
    return replace(ENTRY, title="Tiny", weights=artifacts or (FOLDER,))


def laid_out(place: Path) -> Path:
    """The folder as it should be."""
    for path, content in CONTENT.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    return place


def test_a_folder_is_fetched_with_exactly_the_files_on_its_list(hub: FakeHub, tmp_path: Path) -> None:
    files = download(entry(), tmp_path, network=NETWORK)
    place = tmp_path / "tiny-v1"
    assert files.paths == {"tiny-v1": place}
    kept = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert kept == CONTENT
    assert sorted(asked.path for asked in hub.asked) == sorted(f"{BASE}/{path}" for path in CONTENT)


def test_a_loader_gets_the_folder_under_its_name(hub: FakeHub, tmp_path: Path) -> None:
    files = download(entry(), tmp_path, network=NETWORK)
    context = LoadContext(entry=entry(), weights=files.paths)
    assert json.loads((context.weights["tiny-v1"] / "model_index.json").read_text()) == {"_class_name": "Tiny"}


def test_a_folder_that_is_there_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    laid_out(tmp_path / "tiny-v1")
    assert download(entry(), tmp_path, network=NETWORK).status == "ready"
    assert not hub.asked


def test_only_what_is_missing_is_fetched(hub: FakeHub, tmp_path: Path) -> None:
    place = laid_out(tmp_path / "tiny-v1")
    (place / "model_index.json").unlink()
    assert download(entry(), tmp_path, network=NETWORK).status == "ready"
    assert [asked.path for asked in hub.asked] == [f"{BASE}/model_index.json"]


def test_a_whole_snapshot_in_the_hubs_cache_is_used_where_it_lies(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshot = laid_out(tmp_path / "cache" / "models--somebody--tiny" / "snapshots" / REVISION)
    assert download(entry(), tmp_path / "models", network=NETWORK).paths == {"tiny-v1": snapshot}
    assert not hub.asked


def test_a_part_of_a_snapshot_or_another_revision_is_not_used(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshots = tmp_path / "cache" / "models--somebody--tiny" / "snapshots"
    (laid_out(snapshots / REVISION) / "notes.txt").unlink()
    laid_out(snapshots / "other")
    assert download(entry(), tmp_path / "models", network=NETWORK).paths == {"tiny-v1": tmp_path / "models" / "tiny-v1"}


def test_progress_counts_all_files_together(hub: FakeHub, tmp_path: Path) -> None:
    told: list[TransferProgress] = []
    download(entry(), tmp_path, network=NETWORK, progress=told.append)
    last = [at for at in told if at.stage == "downloading"][-1]
    assert last.done_bytes == last.total_bytes == FOLDER.size_bytes == sum(map(len, CONTENT.values()))


def test_a_cancelled_download_goes_on_where_it_was(hub: FakeHub, tmp_path: Path) -> None:
    def stop(at: TransferProgress) -> None:
        if at.file.endswith("model.safetensors") and at.done_bytes > 50_000:
            raise Cancelled("No longer wanted.")

    hub.piece = 10_000
    with pytest.raises(Cancelled):
        download(entry(), tmp_path, network=NETWORK, progress=stop)
    assert locate(entry(), tmp_path).status == "missing"
    hub.asked.clear()
    download(entry(), tmp_path, network=NETWORK)
    assert [asked.status for asked in hub.asked] == [206, 200]
    assert (tmp_path / "tiny-v1" / "unet" / "model.safetensors").read_bytes() == UNET


def test_changed_bytes_are_refused(hub: FakeHub, tmp_path: Path) -> None:
    hub.always[f"{BASE}/unet/model.safetensors"] = Fault(flip=5_000)
    with pytest.raises(WeightsCorrupted, match=r"No source has the published tiny-v1/unet/model\.safetensors"):
        download(entry(), tmp_path, network=NETWORK)


def test_a_file_that_the_repository_lacks_is_named(hub: FakeHub, tmp_path: Path) -> None:
    del hub.files[f"{BASE}/notes.txt"]
    with pytest.raises(DownloadFailed, match=r"tiny-v1/notes\.txt could not be downloaded: 127\.0\.0\.1 answered 404"):
        download(entry(), tmp_path, network=NETWORK)


def test_a_log_in_page_is_no_json(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[f"{BASE}/model_index.json"] = b"<html>Log in</html>"
    with pytest.raises(WeightsCorrupted, match="is no JSON"):
        download(entry(folder_of(sizes=False, sums=False)), tmp_path, network=NETWORK)


def test_files_without_a_published_sum_must_stay_as_at_first_use(hub: FakeHub, tmp_path: Path) -> None:
    unproven = entry(folder_of(sums=False))
    assert download(unproven, tmp_path, network=NETWORK).status == "ready"
    (tmp_path / "tiny-v1" / "notes.txt").write_bytes(b"one words")
    found = locate(unproven, tmp_path)
    assert found.status == "corrupted"
    assert "notes.txt has changed since its first use" in found.explain()


def test_a_damaged_file_is_told_from_a_missing_one(tmp_path: Path) -> None:
    place = laid_out(tmp_path / "tiny-v1")
    (place / "model_index.json").write_bytes(b"{}")
    found = locate(entry(), tmp_path)
    assert found.status == "corrupted"
    assert found.paths == {}
    with pytest.raises(WeightsCorrupted, match=r"model_index\.json has 2 bytes; the published file has 23"):
        found.require_ready()


def test_what_is_missing_is_told_as_one_folder_with_its_address(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as raised:
        download(entry(), tmp_path, local_files_only=True)
    assert str(raised.value) == (
        "Tiny needs the folder tiny-v1 (0 MiB), which is not on this machine: start once without --offline, or get it "
        f"from https://huggingface.co/somebody/tiny/tree/{REVISION} and put it into the model folder."
    )


def test_files_and_folders_can_be_mixed(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["lora.safetensors"] = UNET
    lora = WeightsFile("lora.safetensors", (hub.url("lora.safetensors"),), len(UNET), hashlib.sha256(UNET).hexdigest())
    both = entry(FOLDER, lora)
    assert both.download_bytes == len(UNET) + sum(map(len, CONTENT.values()))
    assert set(download(both, tmp_path, network=NETWORK).paths) == {"tiny-v1", "lora.safetensors"}


def test_sizes_are_an_estimate_where_one_is_not_known() -> None:
    some = replace(FOLDER, files=(*FOLDER.files, FolderFile("more.json")))
    assert (FOLDER.size_bytes, some.size_bytes) == (sum(map(len, CONTENT.values())), None)
    assert not entry(some).sizes_are_known
    assert entry(some).download_bytes == FOLDER.size_bytes


def test_published_sums_hold_those_of_folders() -> None:
    assert hashlib.sha256(UNET).hexdigest() in entry().published_sums


def test_the_first_fault_of_a_slow_repository_is_survived(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault(status=503))
    assert download(entry(), tmp_path, network=NETWORK).status == "ready"
