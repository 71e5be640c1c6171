"""The child process's side: take a request, run it, answer; end when the web process is gone.

The main thread works. A second thread reads the pipe, so that the end of the web process is seen even while the main
thread is deep in native code; on Linux the kernel is asked to end the child as well.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from typing import Any, Protocol, TypeVar

from inpaint_models.errors import Cancelled

from ..errors import InternalError, api_error_of
from .messages import Done, Failed, FromWorker, Started, Submit

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM", "NUMBA_NUM_THREADS")
"""Where torch, OpenCV and numba look for the number of threads, when they are imported."""

_PR_SET_PDEATHSIG = 1

HandledT = TypeVar("HandledT", contravariant=True)

log = logging.getLogger(__name__)


class CancelCell(Protocol):
    """A shared number: the job of that number is no longer wanted."""

    value: int


class JobContext:
    """What a handler may do besides computing: report, and find out that nobody waits any more."""

    def __init__(self, number: int, send: Callable[[FromWorker], None], cancelled: CancelCell) -> None:
        self.number = number
        self.send = send
        self._cancelled = cancelled

    def check(self) -> None:
        """Raises `Cancelled` when the job is no longer wanted."""
        if self._cancelled.value == self.number:
            raise Cancelled("The job was cancelled.")


class Handler(Protocol[HandledT]):
    """What a worker does with requests. Made inside the child process, where heavy imports belong."""

    device: str

    def handle(self, request: HandledT, context: JobContext) -> object:
        """The answer, of the type that the request says."""


def main(
    connection: Connection, cancelled: CancelCell, factory: str, arguments: tuple[Any, ...], threads: int | None
) -> None:
    """Entry point of a worker process: serves requests until the pipe closes.

    factory  "module:class" of the `Handler`, made with `arguments`
    threads  how many to compute with; None = one for each processor
    """
    _die_with_parent()
    if threads is not None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: only the web process decides
        signal.signal(number, signal.SIG_IGN)
    requests: queue.SimpleQueue[Submit[Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, requests), daemon=True, name="pipe").start()
    handler: Handler[Any] = resolve_name(factory)(*arguments)
    send = partial(_send, connection, threading.Lock())
    send(Started(os.getpid(), handler.device))
    while True:
        serve_one(handler, requests.get(), send, cancelled)
        gc.collect(0)


def serve_one(
    handler: Handler[HandledT],
    submitted: Submit[HandledT],
    send: Callable[[FromWorker], None],
    cancelled: CancelCell,
) -> None:
    """Does what was asked for; the last message is its `Done` or `Failed`."""
    context = JobContext(submitted.number, send, cancelled)
    try:
        context.check()
        answer: FromWorker = Done(submitted.number, handler.handle(submitted.request, context))
    except Exception as error:  # noqa: BLE001  every failure of a job is an answer; the process goes on
        problem = api_error_of(error)
        expected = not isinstance(problem, InternalError)  # a part of the contract, and nothing for the log
        answer = Failed(submitted.number, problem, "" if expected else "".join(traceback.format_exception(error)))
    send(answer)


def _read(connection: Connection, requests: queue.SimpleQueue[Submit[Any]]) -> None:
    while True:
        try:
            requests.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


def _send(connection: Connection, lock: threading.Lock, message: FromWorker) -> None:
    """One message at a time, whichever thread has it."""
    try:
        with lock:
            connection.send(message)
    except OSError:
        os._exit(0)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
