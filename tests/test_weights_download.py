"""A download ends in the published bytes under their final name, or in a named error and something to go on from."""

from __future__ import annotations

import hashlib
import random
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from fake_hub import FakeHub, Fault
from fetching import CONTENT, NAME, Naps, entry, fetch, leftovers, network, published, safetensors, unpublished
from inpaint_models.errors import DownloadFailed, WeightsCorrupted, WeightsError, WeightsMissing
from inpaint_models.registry import WeightsFile
from inpaint_models.weights import TransferProgress, download, locate
from serving import within

pytestmark = pytest.mark.usefixtures("own_home")


def test_a_download_ends_in_the_published_bytes_under_the_final_name(hub: FakeHub, tmp_path: Path) -> None:
    assert fetch(hub, tmp_path / "models").read_bytes() == CONTENT
    assert leftovers(tmp_path / "models") == set()
    assert hub.statuses() == [200]


def test_what_is_there_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(hub, tmp_path)
    assert len(hub.asked) == 1


def test_progress_counts_up_to_the_whole(hub: FakeHub, tmp_path: Path) -> None:
    seen: list[TransferProgress] = []
    fetch(hub, tmp_path, progress=seen.append)
    loading = [told for told in seen if told.stage == "downloading"]
    assert [told.done_bytes for told in loading] == sorted(told.done_bytes for told in loading)
    assert loading[0].done_bytes == 0
    assert loading[-1] == TransferProgress("downloading", NAME, len(CONTENT), len(CONTENT))
    assert seen[-1].stage == "verifying"


def test_progress_of_several_files_is_one_count(tmp_path: Path) -> None:
    with FakeHub({"a": b"a" * 1000, "b": b"b" * 3000}) as hub:
        files = [published(hub.url(name), name=name, content=hub.files[name]) for name in "ab"]
        seen: list[TransferProgress] = []
        download(entry(*files), tmp_path, network=network(), progress=seen.append)
    assert {told.total_bytes for told in seen if told.stage == "downloading"} == {4000}
    assert max(told.done_bytes for told in seen) == 4000


def test_progress_of_files_of_unpublished_sizes_grows_to_the_true_whole(tmp_path: Path) -> None:
    with FakeHub({"a": b"a" * 1000, "b": b"b" * 3000}) as hub:
        files = [
            WeightsFile(name, (hub.url(name),), md5=hashlib.md5(content).hexdigest(), approx_size_bytes=1200)
            for name, content in hub.files.items()
        ]
        seen: list[TransferProgress] = []
        download(entry(*files), tmp_path, network=network(), progress=seen.append)
    counts = [told.done_bytes for told in seen if told.stage == "downloading"]
    assert counts == sorted(counts)
    assert counts[-1] == 4000
    assert {told.total_bytes for told in seen if told.stage == "downloading" and told.file == "a"} == {2200}
    assert {told.total_bytes for told in seen if told.stage == "downloading" and told.file == "b"} >= {4000}


# What servers do wrong: each of these is overcome by trying again, from where it stopped.
PASSING = {
    "cut at the start": Fault(cut_after=0),
    "cut at 10 %": Fault(cut_after=30_000),
    "cut at 50 %": Fault(cut_after=150_000),
    "cut at 99 %": Fault(cut_after=300_000),
    "reset at 50 %": Fault(cut_after=150_000, reset=True),
    "reset before the headers end": Fault(cut_after=0, reset=True),
    "hangs up without an answer": Fault(raw=b""),
    "answers in another language": Fault(raw=b"220 welcome\r\n\r\n"),
    "stall at the start": Fault(stall_after=0),
    "stall at 50 %": Fault(stall_after=150_000),
    "500": Fault(status=500),
    "503 with a page": Fault(status=503, body=b"<html>busy</html>"),
    "429": Fault(status=429),
    "one wrong byte": Fault(flip=1234),
    "chunked and cut": Fault(chunked=True, cut_after=150_000),
}


def impatient(fault: Fault) -> float:
    """The timeout of a client that is to notice the fault: a short one only where the hub falls silent."""
    return 60 if fault.stall_after is None else 0.2


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_fault_is_overcome(hub: FakeHub, tmp_path: Path, fault: Fault) -> None:
    hub.faults.append(fault)
    insisting = network(read_timeout_s=impatient(fault), tries=1000)
    assert fetch(hub, tmp_path, network=insisting).read_bytes() == CONTENT
    assert leftovers(tmp_path) == set()
    assert len(hub.asked) == 2 or fault.stall_after is not None, "the hub itself may be slow once more"


BRINGS_NOTHING = {
    name: fault
    for name, fault in PASSING.items()
    if fault.status or fault.flip or fault.raw is not None or 0 in (fault.cut_after, fault.stall_after)
}


@pytest.mark.parametrize("fault", BRINGS_NOTHING.values(), ids=BRINGS_NOTHING)
def test_a_lasting_fault_is_a_named_error_and_leaves_no_finished_file(
    hub: FakeHub, tmp_path: Path, fault: Fault
) -> None:
    """B120."""
    hub.always[NAME] = fault
    naps = Naps()
    with pytest.raises(WeightsError) as error:
        fetch(hub, tmp_path, network=network(naps, read_timeout_s=impatient(fault)))
    assert isinstance(error.value, WeightsCorrupted if fault.flip else DownloadFailed)
    assert not (tmp_path / NAME).exists()
    assert within(60, lambda: len(hub.asked) == (2 if fault.flip else 5))
    assert str(tmp_path) not in str(error.value)
    assert hub.url(NAME) in str(error.value)
    hub.always.clear()
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert leftovers(tmp_path) == set()


FINAL = {
    "401": (Fault(status=401), "forbidden"),
    "403": (Fault(status=403), "forbidden"),
    "404": (Fault(status=404), "not_found"),
    "410": (Fault(status=410), "not_found"),
    "other length": (Fault(body=b"x" * 1000), "wrong_length"),
    "web page": (Fault(body=b"<html>Sign in</html>", headers=(("Content-Type", "text/html"),)), "wrong_length"),
    "redirect to http": (Fault(status=302, headers=(("Location", "http://files.example/x"),)), "insecure_redirect"),
    "redirect to a file": (Fault(status=302, headers=(("Location", "file:///etc/passwd"),)), "bad_answer"),
    "redirect in circles": (Fault(status=302, headers=(("Location", f"/{NAME}"),)), "bad_answer"),
    "more than promised": (Fault(chunked=True, extra=b"x"), "wrong_length"),
}


@pytest.mark.parametrize(("fault", "cause"), FINAL.values(), ids=FINAL)
def test_an_address_that_cannot_work_is_asked_once(hub: FakeHub, tmp_path: Path, fault: Fault, cause: str) -> None:
    """B120."""
    hub.always[NAME] = fault
    naps = Naps()
    with pytest.raises(DownloadFailed) as error:
        fetch(hub, tmp_path, network=network(naps))
    assert error.value.cause == cause
    assert naps.seconds == []
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(("fault", "cause"), FINAL.values(), ids=FINAL)
def test_the_next_source_is_tried(hub: FakeHub, tmp_path: Path, fault: Fault, cause: str) -> None:
    """B120."""
    hub.files["mirror"] = CONTENT
    hub.always[NAME] = fault
    file = published(hub.url(NAME), hub.url("mirror"))
    assert fetch(hub, tmp_path, file).read_bytes() == CONTENT
    assert hub.asked[-1].path == "mirror"


def test_plain_http_is_refused_before_anything_is_sent(hub: FakeHub, tmp_path: Path) -> None:
    """B120."""
    with pytest.raises(DownloadFailed) as error:
        fetch(hub, tmp_path, network=network(plain_http_hosts=frozenset()))
    assert error.value.cause == "insecure_redirect"
    assert hub.asked == []


def test_a_redirect_is_followed_and_the_range_goes_with_it(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["real"] = CONTENT
    hub.always[NAME] = Fault(status=302, headers=(("Location", "/real"),))
    hub.always["real"] = Fault(cut_after=100_000)
    with pytest.raises(DownloadFailed):
        fetch(hub, tmp_path, network=network(tries=1))
    del hub.always["real"]
    fetch(hub, tmp_path)
    assert hub.asked[-1].status == 206
    assert hub.asked[-1].headers["Range"] == "bytes=100000-"


def test_waits_grow_and_follow_what_the_server_asks_for(hub: FakeHub, tmp_path: Path) -> None:
    naps = Naps()
    hub.faults.extend([Fault(status=503), Fault(status=503), Fault(status=429, headers=(("Retry-After", "7"),))])
    fetch(hub, tmp_path, network=network(naps))
    assert sum(naps.seconds) == pytest.approx(1 + 2 + 7)
    naps.seconds.clear()
    hub.always[NAME] = Fault(status=503, headers=(("Retry-After", "99999999"),))
    with pytest.raises(DownloadFailed):
        fetch(hub, tmp_path / "other", network=network(naps, tries=2))
    assert sum(naps.seconds) == pytest.approx(120)


def test_a_resumed_download_asks_for_the_rest_of_the_same_file(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault(cut_after=123_456))
    fetch(hub, tmp_path)
    first, second = hub.asked
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=123456-"
    assert second.headers["If-Range"] == f'"{hashlib.sha256(CONTENT).hexdigest()[:16]}"'
    assert second.status == 206


KEEPS_THE_PART = {
    **{name: fault for name, fault in BRINGS_NOTHING.items() if not fault.flip},
    "not found": Fault(status=404),
    "redirect in circles": Fault(status=302, headers=(("Location", f"/{NAME}"),)),
    "more than promised": Fault(chunked=True, extra=b"x" * 1_000_000),
}


@pytest.mark.parametrize("fault", KEEPS_THE_PART.values(), ids=KEEPS_THE_PART)
def test_an_attempt_that_brings_nothing_keeps_what_has_arrived(hub: FakeHub, tmp_path: Path, fault: Fault) -> None:
    hub.always[NAME] = Fault(cut_after=150_000)
    with pytest.raises(DownloadFailed):
        fetch(hub, tmp_path, network=network(tries=1))
    hub.always[NAME] = fault
    with pytest.raises(DownloadFailed):
        fetch(hub, tmp_path, network=network(tries=1, read_timeout_s=impatient(fault)))
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:150_000]
    assert within(60, lambda: len(hub.asked) > 1)
    hub.always.clear()
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert hub.asked[-1].headers["Range"] == "bytes=150000-"


def test_a_file_that_changed_between_two_attempts_is_fetched_whole(hub: FakeHub, tmp_path: Path) -> None:
    older = bytes(len(CONTENT))
    hub.files[NAME] = older
    hub.always[NAME] = Fault(cut_after=200_000)
    with pytest.raises(DownloadFailed):
        fetch(hub, tmp_path, network=network(tries=1))
    hub.always.clear()
    hub.files[NAME] = CONTENT
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert hub.asked[-1].status == 200


@pytest.mark.parametrize(
    "fault", [Fault(ignore_range=True), Fault(shift_range=5), Fault(no_validator=True), Fault(chunked=True)]
)
def test_servers_that_resume_badly_still_deliver(hub: FakeHub, tmp_path: Path, fault: Fault) -> None:
    hub.faults.extend([replace(fault, cut_after=150_000), fault])
    assert fetch(hub, tmp_path).read_bytes() == CONTENT


def test_a_part_goes_on_at_another_source_when_a_hash_will_decide(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["mirror"] = CONTENT
    hub.always[NAME] = Fault(cut_after=150_000)
    fetch(hub, tmp_path, published(hub.url(NAME), hub.url("mirror")), network=network(tries=1))
    assert hub.asked[-1].headers["Range"] == "bytes=150000-"
    assert "If-Range" not in hub.asked[-1].headers


def test_without_a_hash_nothing_is_joined_from_two_servers(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[NAME] = hub.files["mirror"] = safetensors()
    hub.always[NAME] = Fault(cut_after=20)
    fetch(hub, tmp_path, unpublished(hub.url(NAME), hub.url("mirror")), network=network(tries=1))
    assert hub.asked[-1].path == "mirror"
    assert "Range" not in hub.asked[-1].headers


@pytest.mark.parametrize("junk", [b"", b"x" * 10, b"x" * 400_000, CONTENT[:1000] + b"junk", bytes(len(CONTENT))])
def test_a_part_full_of_junk_is_survived(hub: FakeHub, tmp_path: Path, junk: bytes) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(junk)
    (tmp_path / f"{NAME}.part.json").write_bytes(b"[junk")
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert leftovers(tmp_path) == set()


def test_a_long_download_over_a_bad_line_is_not_given_up(tmp_path: Path) -> None:
    big = random.Random(2).randbytes(12 << 20)
    with FakeHub({NAME: big}, always={NAME: Fault(cut_after=(1 << 20) + 5)}) as hub:
        fetch(hub, tmp_path, published(hub.url(NAME), content=big))
        assert len(hub.asked) == 12


def test_a_line_that_brings_next_to_nothing_is_given_up(tmp_path: Path) -> None:
    with FakeHub({NAME: CONTENT}, always={NAME: Fault(cut_after=10)}) as hub:
        with pytest.raises(DownloadFailed, match="hung up after 50 of 300,001"):
            fetch(hub, tmp_path)
        assert len(hub.asked) == 5


def test_tampered_bytes_are_set_aside_and_refused(hub: FakeHub, tmp_path: Path) -> None:
    hub.always[NAME] = Fault(flip=77)
    with pytest.raises(WeightsCorrupted, match=f"instead of {hashlib.sha256(CONTENT).hexdigest()}"):
        fetch(hub, tmp_path)
    assert not (tmp_path / NAME).exists()
    assert (tmp_path / f"{NAME}.bad").exists()
    assert locate(entry(published()), tmp_path).status == "missing"


def test_an_md5_is_enough_where_nothing_better_is_known(hub: FakeHub, tmp_path: Path) -> None:
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    file = WeightsFile(NAME, (hub.url(NAME),), md5=md5)
    files = download(entry(file), tmp_path / "a", network=network())
    assert files.files[0].proof == "md5"
    hub.always[NAME] = Fault(flip=5)
    with pytest.raises(WeightsCorrupted, match=md5):
        download(entry(file), tmp_path / "b", network=network())


def test_a_file_without_a_published_hash_must_stay_as_at_its_first_use(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[NAME] = safetensors()
    state = download(entry(unpublished(hub.url(NAME))), tmp_path, network=network()).files[0]
    assert state.proof == "first-use"
    assert hashlib.sha256(safetensors()).hexdigest() in state.note


@pytest.mark.parametrize("fault", [Fault(body=b"<html>"), Fault(body=b""), Fault(body=b"\x80\x02N.")])
def test_what_is_no_checkpoint_is_refused_even_without_a_hash(hub: FakeHub, tmp_path: Path, fault: Fault) -> None:
    hub.always[NAME] = fault
    with pytest.raises(WeightsCorrupted):
        fetch(hub, tmp_path, unpublished(hub.url(NAME)))
    assert not (tmp_path / NAME).exists()


def test_a_log_in_page_is_refused_at_its_header(hub: FakeHub, tmp_path: Path) -> None:
    """B120."""
    hub.always[NAME] = Fault(headers=(("Content-Type", "text/html; charset=utf-8"),))
    with pytest.raises(WeightsCorrupted, match="web page"):
        fetch(hub, tmp_path, unpublished(hub.url(NAME)))


def test_a_damaged_file_in_the_way_is_kept_under_another_name(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert (tmp_path / f"{NAME}.replaced").read_bytes() == b"mine"


def test_a_file_of_ones_own_does_not_stand_for_a_part_of_a_set(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/mine.safetensors").write_bytes(safetensors())
    with FakeHub({"a": b"a" * 1000, "b": b"b" * 3000}) as hub:
        files = [published(hub.url(name), name=name, content=hub.files[name]) for name in "ab"]
        assert download(entry(*files), tmp_path, network=network()).paths == {"a": tmp_path / "a", "b": tmp_path / "b"}


def test_an_alternative_set_is_fetched_when_the_first_cannot_be(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["other.pth"] = b"PK other"
    other = published(hub.url("other.pth"), name="other.pth", content=b"PK other")
    wanted = entry(published(hub.url("gone")), alternatives=((other,),))
    assert download(wanted, tmp_path, network=network()).paths == {"other.pth": tmp_path / "other.pth"}


def test_a_disk_without_room_is_said_before_anything_is_written(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(CONTENT)))
    with pytest.raises(DownloadFailed, match="MiB free") as error:
        fetch(hub, tmp_path)
    assert error.value.cause == "disk_full"
    assert not (tmp_path / f"{NAME}.part").exists()
    monkeypatch.undo()


@pytest.mark.parametrize("local_files_only", [True, False])
def test_local_files_only_opens_no_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_files_only: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    file = published("https://files.example/big", "https://huggingface.co/a/b/resolve/main/c")
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    expected = WeightsMissing if local_files_only else AssertionError
    with pytest.raises(expected) as error:
        download(entry(file), tmp_path, local_files_only=local_files_only, network=network(tries=1))
    if local_files_only:
        assert str(tmp_path) not in str(error.value)
        assert "https://files.example/big" in str(error.value)


def test_hugging_face_files_go_through_the_chosen_mirror_with_the_token_for_it_alone(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.root)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.files["store"] = CONTENT
    hub.always[f"owner/name/resolve/abc/{NAME}"] = Fault(status=307, headers=(("Location", "/store"),))
    fetch(hub, tmp_path, published(f"hf://owner/name@abc/{NAME}"))
    asked, redirected = hub.asked
    assert asked.path == f"owner/name/resolve/abc/{NAME}"
    assert asked.headers["Authorization"] == "Bearer hf_secret"
    assert "Authorization" not in redirected.headers


def test_the_token_goes_nowhere_else(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(hub, tmp_path)
    assert "Authorization" not in hub.asked[0].headers
