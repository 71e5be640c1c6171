"""`--gui`: the page in a window of its own, made by an installed browser, or by pywebview where that is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from ..exits import ExitCode, StartError
from ..settings import Settings

_NAMES = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "microsoft-edge",
    "brave-browser",
    "chrome",
    "msedge",
)
_MAC = tuple(
    Path(f"/Applications/{name}.app/Contents/MacOS/{name}")
    for name in ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")
)
_WINDOWS = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
_WEBVIEW = """\
import sys, webview
address, width, height = sys.argv[1:]
webview.create_window("lama-server", address, width=int(width), height=int(height))
webview.start()
"""
"""pywebview wants the main thread of a process, so it gets one of its own."""


def window_size(settings: Settings) -> tuple[int, int]:
    """(width, height). Raises `StartError`."""
    width, _, height = settings.gui_size.replace("x", ",").partition(",")
    if not (width.isdecimal() and height.isdecimal() and 200 <= int(width) <= 16384 and 200 <= int(height) <= 16384):
        raise StartError(
            ExitCode.USAGE,
            f"{settings.named('gui_size')}: {settings.gui_size!r} is no size of a window such as 1200,1000.",
        )
    return int(width), int(height)


def open_window(address: str, settings: Settings) -> threading.Thread | None:
    """Opens the window; a tab, and None, where there is no way to make one.

    The thread ends with the window, and the server with it where that is wanted.
    """
    profile = tempfile.mkdtemp(prefix="lama-server-window-")
    command = next(_commands(address, window_size(settings), profile), None)
    if command is None:
        sys.stderr.write(
            "--gui needs Chrome, Chromium, Edge or Brave, or pip install pywebview. A tab is opened instead.\n"
        )
        webbrowser.open(address)
        return None
    window = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waiter = threading.Thread(target=_wait, args=(window, profile, settings.gui_auto_close), daemon=True)
    waiter.start()
    return waiter


def _commands(address: str, size: tuple[int, int], profile: str) -> Iterator[list[str]]:
    """Ways to make a window, the best first. A profile of its own makes the program end when the window is closed."""
    found = [shutil.which(name) for name in _NAMES]
    roots = [os.environ[name] for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA") if name in os.environ]
    others = [*_MAC, *(Path(root) / place for root in roots for place in _WINDOWS)]
    for browser in (*filter(None, found), *(str(path) for path in others if path.is_file())):
        options = [f"--app={address}", f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}"]
        yield [browser, *options, "--no-first-run", "--no-default-browser-check"]
    from importlib.util import find_spec

    if find_spec("webview") is not None:
        yield [sys.executable, "-c", _WEBVIEW, address, str(size[0]), str(size[1])]


def _wait(window: subprocess.Popen[bytes], profile: str, ends_server: bool) -> None:
    window.wait()
    shutil.rmtree(profile, ignore_errors=True)
    if ends_server:
        signal.raise_signal(signal.SIGINT)
