"""Drives the page as a person would, and starts the server that it talks to."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, Playwright

ROOT = Path(__file__).resolve().parents[2]
LAN_NAME = "lan.test"
"""No loopback name, so that the page under it is no secure context; it leads to this machine all the same."""

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_PATHS = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
PATIENCE_S = 120.0
"""How long anything may take before a test fails: far beyond what it does take, on any machine."""

Point = tuple[float, float]


def find_chromium() -> str:
    """Path of the system's Chromium. Raises FileNotFoundError when there is none: browser tests never skip."""
    named = os.environ.get("CHROMIUM")
    for candidate in [named] if named else [*CHROMIUM_NAMES, *CHROMIUM_PATHS]:
        if path := shutil.which(candidate):
            return path
    raise FileNotFoundError("Chromium is needed for the browser tests. Install it, or set CHROMIUM to its path.")


def launch_chromium(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(
        executable_path=find_chromium(),
        args=["--no-sandbox", f"--host-resolver-rules=MAP {LAN_NAME} 127.0.0.1"],
    )


@dataclass
class Server:
    """A lama-server of its own, as a process."""

    data_dir: Path
    arguments: Sequence[str] = ()
    port: int = 0
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def lan_url(self) -> str:
        return f"http://{LAN_NAME}:{self.port}/"

    def start(self) -> None:
        """Returns when it answers; on the port it had before, if it had one."""
        paths = [str(ROOT / "server"), str(ROOT / "models"), os.environ.get("PYTHONPATH", "")]
        command = [sys.executable, "-m", "lama_server", "--port", str(self.port), "--data-dir", str(self.data_dir)]
        self.process = subprocess.Popen(
            [*command, "--allow-host", LAN_NAME, "--offline", "--log-level", "warning", *self.arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            if found := re.search(r"http://[^\s/]*:(\d+)/", line):
                self.port = int(found.group(1))
                return
            if not line and self.process.poll() is not None:
                break
        raise RuntimeError(f"The server did not start; exit code {self.process.poll()}.")

    def kill(self) -> None:
        """As a power cut would: nothing is told, nothing is written."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


@contextmanager
def running_server(data_dir: Path, *arguments: str) -> Generator[Server]:
    server = Server(data_dir, arguments)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


class App:
    """The open page, in the words of somebody who uses it. Points are in pixels of the photo."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def read(self, expression: str) -> Any:
        """The value of a JavaScript expression; `state` is the page's state and `doc` its document. None at first."""
        return self.page.evaluate(
            "() => { if (!window.lama) return null;"
            " const state = lama.state(); const doc = state.timeline.steps[state.timeline.at].doc;"
            f" return ({expression}); }}"
        )

    def wait(self, expression: str, patience_s: float = PATIENCE_S) -> None:
        """Polls from here: the page's own policy forbids it to evaluate strings."""
        deadline = time.monotonic() + patience_s
        while not self.read(expression):
            if time.monotonic() > deadline:
                toasts = self.page.locator("#notes").inner_text()
                raise AssertionError(
                    f"It never came true: {expression}\nToasts: {toasts!r}\nJob: {self.read('state.jobs')}"
                )
            self.page.wait_for_timeout(25)

    def open(self, photo: Path) -> None:
        self.page.set_input_files("#files", photo)
        self.wait(f"state.image?.name === {photo.name!r}")

    def wait_for_edits(self, count: int) -> None:
        self.wait(f"doc.edits.length === {count} && state.jobs.length === 0 && state.queued.length === 0")

    def on_stage(self, point: Point) -> Point:
        view = self.read("state.view")
        return point[0] * view["scale"] + view["x"], point[1] * view["scale"] + view["y"]

    def on_screen(self, point: Point) -> Point:
        x, y = self.on_stage(point)
        left, top = self.read(
            "(({left, top}) => [left, top])(document.getElementById('stage').getBoundingClientRect())"
        )
        return x + left, y + top

    def paint(self, points: Sequence[Point], *, steps: int = 6, button: Literal["left", "right"] = "left") -> None:
        """Drags the pointer along the points: real pointer events."""
        mouse = self.page.mouse
        mouse.move(*self.on_screen(points[0]))
        mouse.down(button=button)
        for point in points[1:]:
            mouse.move(*self.on_screen(point), steps=steps)
        mouse.up(button=button)

    def open_models(self) -> None:
        """The list of all models, for models that are of no kind too."""
        self.page.click("#model")
        self.page.wait_for_selector("#kinds .kind:visible, #models .choice:visible")
        if self.page.locator("#models").is_hidden():
            self.page.click("#all-models")

    def open_tuning(self) -> None:
        """The options of the chosen model."""
        self.page.click("#model")
        self.page.click("#tune")
        self.page.wait_for_selector("#options-form input")

    def behave(self, behaviour: str) -> None:
        """Tells the fake engine what to do from now on; one that is told to "stay" waits for `RunningServer.let_go`."""
        self.open_tuning()
        self.page.get_by_label("Behaviour").select_option(behaviour)
        self.close_panels()

    def close_panels(self) -> None:
        while self.page.locator(":popover-open").count():
            self.page.keyboard.press("Escape")

    def fill_on_release(self, wanted: bool) -> None:
        switch = self.page.locator("#auto")
        if switch.is_visible():
            switch.set_checked(wanted)
            return
        self.page.click("#menu-button")  # where there is no room for it in the dock
        self.page.locator("#menu").get_by_label("Remove on release").set_checked(wanted)
        self.page.keyboard.press("Escape")

    def colour_at(self, point: Point) -> list[int]:
        """RGB on the image canvas."""
        x, y = self.on_stage(point)
        colour: list[int] = self.read(f"lama.stage.probe({x}, {y}).slice(0, 3)")
        return colour

    def ink_at(self, point: Point) -> int:
        """0 to 255."""
        x, y = self.on_stage(point)
        ink: int = self.read(f"lama.stage.probeInk({x}, {y})")
        return ink

    def settle(self) -> None:
        """Returns when everything asked for so far is drawn, faded in, and kept in the browser."""
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => null)"
        )
        self.wait("lama.quiet()")

    def download(self, to: Path) -> Path:
        with self.page.expect_download() as download:
            self.page.keyboard.press("Control+s")
        download.value.save_as(to)
        return to


OpenApp = Callable[..., App]
"""What the fixture `open_app` gives: url=..., script=... and options of the browser's context -> App."""
