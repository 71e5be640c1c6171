"""A download that is cancelled, killed or left without a disk leaves what the next one goes on from."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_hub import FakeHub, Fault
from fetching import CONTENT, NAME, Naps, fetch, leftovers, network
from inpaint_models.errors import Cancelled, DownloadFailed
from inpaint_models.weights import TransferProgress

pytestmark = pytest.mark.usefixtures("own_home")


def test_a_cancelled_download_ends_soon_and_goes_on_later(hub: FakeHub, tmp_path: Path) -> None:
    """The server has gone silent, so the answer to the cancel cannot wait for its next byte."""
    hub.always[NAME] = Fault(stall_after=150_000)
    wish = threading.Event()

    def told(progress: TransferProgress) -> None:
        if progress.done_bytes >= 150_000:
            wish.set()

    with pytest.raises(Cancelled, match="goes on from there"):
        fetch(hub, tmp_path, progress=told, cancelled=wish.is_set, network=network(read_timeout_s=600))
    assert (tmp_path / f"{NAME}.part").stat().st_size == 150_000
    hub.always.clear()
    fetch(hub, tmp_path)
    assert hub.asked[-1].status == 206


def test_a_download_waiting_for_its_next_try_can_be_cancelled(hub: FakeHub, tmp_path: Path) -> None:
    hub.always[NAME] = Fault(status=503)
    naps = Naps()
    with pytest.raises(Cancelled):
        fetch(hub, tmp_path, cancelled=lambda: len(naps.seconds) == 3, network=network(naps))


def test_a_progress_that_raises_stops_the_download(hub: FakeHub, tmp_path: Path) -> None:
    def told(_: TransferProgress) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        fetch(hub, tmp_path, progress=told)
    assert not (tmp_path / NAME).exists()


# Sabotage of the disk: the N-th call fails, for every N, and again with the next kind of failure.

TOUCHED = (
    (os, "replace"),
    (os, "fsync"),
    (os, "open"),
    (Path, "open"),
    (Path, "mkdir"),
    (Path, "unlink"),
    (Path, "replace"),
)


class Saboteur:
    """Counts calls that touch the disk and fails the N-th."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        self.code, self.calls, self.fail_at = code, 0, 0
        for owner, name in TOUCHED:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._count()
            made = function(*args, **kwargs)
            if function.__name__ == "open" and not isinstance(made, int) and "b" in made.mode and made.writable():
                return _Watched(made, self._count)
            return made

        return call

    def _count(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.calls += 1
            if self.calls == self.fail_at:
                raise OSError(self.code, os.strerror(self.code))


class _Watched:
    """A file whose writes are counted too."""

    def __init__(self, file: Any, count: Callable[[], None]) -> None:
        self._file, self._count = file, count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        self._count()
        return int(self._file.write(data))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_whichever_call_to_the_disk_fails_nothing_looks_finished_and_the_next_try_succeeds(
    tmp_path: Path, code: int
) -> None:
    with FakeHub({NAME: CONTENT}) as hub:
        for n in itertools.count(1):
            home = tmp_path / str(n)
            with pytest.MonkeyPatch.context() as patch:
                saboteur = Saboteur(patch, code)
                saboteur.fail_at = n
                try:
                    fetch(hub, home)
                except DownloadFailed as error:
                    assert error.cause == ("disk_full" if code == errno.ENOSPC else "disk")  # noqa: PT017
                reached = saboteur.calls >= n
            if (home / NAME).exists():
                assert (home / NAME).read_bytes() == CONTENT
            assert fetch(hub, home).read_bytes() == CONTENT
            assert not [path for path in home.rglob("*") if path.name.endswith((".part", ".part.json"))]
            if not reached:
                break
        assert n > 20


def test_what_a_killed_process_left_is_swept_after_an_hour(hub: FakeHub, tmp_path: Path) -> None:
    old, new = tmp_path / ".verified.json.1.tmp", tmp_path / ".verified.json.2.tmp"
    for path in (old, new):
        path.write_bytes(b"{")
    os.utime(old, (1, 1))
    fetch(hub, tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


PROGRAM = """
import json, os, signal, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from inpaint_models.registry import WeightsFile
from inpaint_models.weights import Network, download
from fetching import entry, published
url, home, die_at = sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
calls = 0
def told(progress):
    global calls
    calls += 1
    if calls == 1:
        print("started", flush=True)
    if calls == die_at:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
network = Network(plain_http_hosts=frozenset({"127.0.0.1"}), backoff_s=0.01)
files = download(entry(published(url)), home, progress=told, network=network)
print(files.status)
"""


def program(url: str, home: Path, die_at: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, json.dumps(sys.path), url, str(home), str(die_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("die_at", [1, 3, 6, 8])
def test_a_download_killed_at_any_point_goes_on(tmp_path: Path, die_at: int) -> None:
    """Pieces of 60 kB: the first, some in the middle, the last, and while the hash is taken."""
    with FakeHub({NAME: CONTENT}, piece=60_000, piece_s=0.02) as hub:
        killed = program(hub.url(NAME), tmp_path, die_at)
        killed.communicate()
        assert killed.returncode != 0
        assert not (tmp_path / NAME).exists()
        kept = (tmp_path / f"{NAME}.part").stat().st_size
        assert fetch(hub, tmp_path).read_bytes() == CONTENT
        if 0 < kept < len(CONTENT):
            assert hub.asked[-1].headers["Range"] == f"bytes={kept}-"
    assert leftovers(tmp_path) == set()


def test_two_processes_fetch_a_file_once(tmp_path: Path) -> None:
    with FakeHub({NAME: CONTENT}, piece=60_000, piece_s=0.1) as hub:
        both = [program(hub.url(NAME), tmp_path) for _ in range(2)]
        said = [process.communicate()[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert all(text.splitlines()[-1] == "ready" for text in said)
        assert hub.statuses() == [200]
    assert (tmp_path / NAME).read_bytes() == CONTENT
