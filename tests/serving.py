"""A real server for tests: a process of its own with the fake engines. Run as a script, this file is that server."""

from __future__ import annotations

import http.client
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from lama_server.workers.executor import Executor, FindFiles

ROOT = Path(__file__).resolve().parent.parent

PATIENCE_S = 120
"""What does not happen meanwhile never will, however slow the machine is."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code, "ok" for an answer that is none."""
        return str(self.json["code"]) if self.status >= 400 else "ok"

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class RunningServer:
    """A server process and how to talk to it. Use in a `with`."""

    data_dir: Path
    options: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate() if self.is_on_ray else self.process.kill()
        if self.process:
            self.process.communicate()

    def start(self) -> None:
        """Starts, again after a stop, and waits until the page would be served."""
        if self.process is not None:
            self.process.communicate()
        self.meeting.mkdir(exist_ok=True)
        given = json.dumps({"data_dir": str(self.data_dir), "port": 0, **self.options})
        path = os.pathsep.join(str(ROOT / name) for name in ("server", "models", "integrations", "tests"))
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), given],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "MEETING": str(self.meeting)},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            raise AssertionError(f"The server did not start: {line!r} {self.process.communicate()[1]}")
        self.port = int(line.split()[1])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and waits; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    @property
    def is_on_ray(self) -> bool:
        return "cluster" in self.options

    @property
    def child(self) -> subprocess.Popen[str]:
        """The process, which has been started."""
        assert self.process is not None
        return self.process

    @property
    def meeting(self) -> Path:
        """The folder in which fills that "meet" or "stay" are seen, and find that they may go."""
        return self.data_dir.with_name(f"{self.data_dir.name}-meeting")

    def wait_for_stays(self, count: int = 1) -> None:
        """Returns once so many fills "stay"."""
        assert within(PATIENCE_S, lambda: len(list(self.meeting.glob("here-*"))) == count)

    def let_go(self, count: int = 1) -> None:
        """Ends so many fills that "stay", or the next ones to do so."""
        for _ in range(count):
            (self.meeting / f"go-{secrets.token_hex(8)}").touch()

    def wait_ready(self) -> None:
        assert within(PATIENCE_S, lambda: self.ask("GET", "/readyz").status == 200), self.ask("GET", "/readyz").body

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        connection = self.connection()
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post_json(self, path: str, value: Any) -> Reply:
        return self.ask("POST", path, json.dumps(value).encode(), {"content-type": "application/json"})

    def post_form(self, path: str, files: Mapping[str, bytes], **fields: str) -> Reply:
        body, kind = multipart(files, **fields)
        return self.ask("POST", path, body, {"content-type": kind})

    def upload(self, pixels: np.ndarray, name: str = "photo.png") -> Reply:
        return self.ask("POST", f"/api/v1/images?name={name}", encode(pixels))

    def edit(self, image: str, *runs: dict[str, Any], **more: Any) -> Reply:
        return self.post_json("/api/v1/edits", edit_request(image, *runs, **more))

    def stream(self, request: Any, client: str | None = None) -> Generator[dict[str, Any]]:
        """The lines of an edit as they come; closing the iterator hangs up."""
        headers = {"content-type": "application/json", **({"x-client-id": client} if client else {})}
        connection = self.connection()
        try:
            connection.request("POST", "/api/v1/edits", json.dumps(request).encode(), headers)
            answer = connection.getresponse()
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def one_shot(self, image: bytes, mask: bytes, params: Any = None, query: str = "", **files: Any) -> Reply:
        body, kind = form(image, mask, params, **files)
        return self.ask("POST", f"/api/v1/inpaint{query}", body, {"content-type": kind})


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


PATIENT = {"header_deadline_s": 60.0, "body_idle_s": 60.0, "answer_idle_s": 60.0, "keep_alive_s": 60}
"""Limits that no test runs into because its own process was not let run for a while."""

RECT = {"kind": "rect", "x": 20, "y": 16, "w": 24, "h": 20}


def edit_request(image: str, *runs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An edit of a small rectangle."""
    return {"image": image, "mask": {"shapes": [RECT]}, "runs": list(runs) or [{"model": "painter"}], **more}


def misbehaving(behaviour: str, seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    """A run of the fake painter."""
    return {"model": "painter", "seed": 7, "params": {"behaviour": behaviour, "seconds": seconds}, **more}


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def rect_mask(width: int = 96, height: int = 64) -> np.ndarray:
    """White where `RECT` is."""
    mask = np.zeros((height, width), np.uint8)
    mask[16:36, 20:44] = 255
    return mask


def multipart(files: Mapping[str, bytes], **fields: str) -> tuple[bytes, str]:
    """(body, content type) of a form."""
    parts = [(f'name="{name}"; filename="{name}.png"', data) for name, data in files.items()]
    parts += [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    head = "--frontier\r\nContent-Disposition: form-data; "
    body = b"".join(f"{head}{names}\r\n\r\n".encode() + data + b"\r\n" for names, data in parts) + b"--frontier--\r\n"
    return body, "multipart/form-data; boundary=frontier"


def form(image: bytes | None, mask: bytes | None, params: Any = None, **files: bytes) -> tuple[bytes, str]:
    """(body, content type) of a one-shot request."""
    given = {"image": image, "mask": mask, **files}
    text = {} if params is None else {"params": params if isinstance(params, str) else json.dumps(params)}
    return multipart({name: data for name, data in given.items() if data is not None}, **text)


def main() -> None:
    """The server process: settings and limits from a JSON argument.

    "real_engines" offers the library's catalogue; "hub", an address, real OpenCV and models to be fetched from there,
    with "migan_file" the real MI-GAN among them;
    "offloaded", names of diffusers folders, adds those on a GPU that is too small for them;
    "cluster" serves on Ray, with fields of `Size` and "nodes";
    "quick" adds a model for quick looks; "deadlines_s" gives fakes deadlines of their own;
    "inline" runs jobs in so many threads of the server itself.
    """
    from fake_engines import BATCHER, ENTRIES, QUICK, on_hub
    from inpaint_models import list_models
    from inpaint_models.weights import Network
    from lama_server.app import create_app
    from lama_server.http.server import listen, serve
    from lama_server.model_manager.weights_source import LibraryWeights
    from lama_server.settings import Limits, Settings

    given = json.loads(sys.argv[1])
    limits = Limits(**{"backoff_s": (0.0,), "cancel_grace_s": 0.5, **PATIENT, **given.pop("limits", {})})
    for name in ("data_dir", "output_dir", "input", "model_dir"):
        if given.get(name):
            given[name] = Path(given[name])
    bound = listen("127.0.0.1", given["port"])
    port = bound.getsockname()[1]
    real, hub, inline = given.pop("real_engines", False), given.pop("hub", None), given.pop("inline", 0)
    migan_file, cluster = given.pop("migan_file", None), given.pop("cluster", None)
    deadlines_s = given.pop("deadlines_s", {})
    fakes = [replace(entry, deadline_s=deadlines_s.get(entry.name, 0)) for entry in ENTRIES]
    fakes += [QUICK] if given.pop("quick", False) else []
    entries = None if real else on_hub(hub, migan_file) if hub else fakes
    if offloaded := given.pop("offloaded", ()):
        import gpu_stand_in

        home = given["model_dir"]
        entries = [*list_models(model_dir=home)]
        entries += [entry for name in offloaded for entry in gpu_stand_in.entries(home / name)]
    settings = Settings(**{"model": "opencv" if real else "painter", **given, "port": port})
    network = Network(plain_http_hosts=frozenset({"127.0.0.1"}), tries=10_000, sleep=lambda _: time.sleep(0.05))
    weights = LibraryWeights(settings, network) if hub or settings.model_dir else NoWeights()
    if cluster is not None:
        from cluster_serving import serve_on_ray

        bound.close()
        serve_on_ray(settings, cluster, entries=entries and (*entries, BATCHER), weights=weights, limits=limits)
        return
    app = create_app(
        settings, entries=entries, weights=weights, limits=limits, executor=in_threads(inline) if inline else None
    )

    def announce() -> None:
        sys.stdout.write(f"port {port}\n")
        sys.stdout.flush()

    serve(app, bound, limits=limits, on_ready=announce)


def in_threads(slots: int) -> Callable[[FindFiles], Executor]:
    """Imported late: engines are loaded into this process."""
    from inline_executor import InlineExecutor

    return partial(InlineExecutor, slots)


class NoWeights:
    """Weights are nowhere and cannot be had."""

    def find(self, entry: Any) -> None:
        return None

    def download(self, entry: Any, report: Any, cancelled: Any) -> Any:
        from inpaint_models.errors import DownloadFailed

        report(10, 1000)
        raise DownloadFailed("There is no such file.")


if __name__ == "__main__":
    main()
