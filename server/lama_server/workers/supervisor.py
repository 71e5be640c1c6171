"""One child process under supervision: started, fed one job at a time, cancelled, killed, started again.

Guarantees: an answer reaches the caller that asked (answers carry the number of their request, and a number is used
once); a job that is cancelled or late either stops at its next look at the cancel cell or loses its process; a process
that ends by itself fails the running job with `WorkerCrashed` and is replaced. One that does so again and again is
replaced after a pause, in which requests are refused; afterwards the next request is the trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import multiprocessing
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic

from ..errors import JobDeadlineExceeded, ShuttingDown, WorkerCrashed, WorkerUnavailable
from . import worker
from .messages import AnswerT, Done, Failed, FromWorker, KindT, Request, Started, Submit, WorkerEvent

BACKOFF_S = (0.0, 1.0, 5.0, 30.0)
CRASH_WINDOW_S = 600.0
CRASHES_UNTIL_UNAVAILABLE = 5
START_DEADLINE_S = 60.0
STOPPED_FRESH_S = 1.0

log = logging.getLogger(__name__)

WorkerListener = Callable[[WorkerEvent], None]


class Supervisor(Generic[KindT]):
    """Runs requests in one child process. Every method belongs to the event loop that `start` ran in.

    on_exit     called when the child ended by itself or was killed
    on_restart  called when a child that was started in place of another takes requests
    on_idle     called when the child can take another request
    """

    def __init__(
        self,
        name: str,
        factory: str,
        arguments: tuple[Any, ...] = (),
        *,
        threads: int | None = None,
        cancel_grace_s: float = 10.0,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        self.name = name
        self.restarts = 0
        self.on_exit: Callable[[], None] = lambda: None
        self.on_restart: Callable[[], None] = lambda: None
        self.on_idle: Callable[[], None] = lambda: None
        self._factory, self._arguments, self.threads = factory, arguments, threads
        self._cancel_grace_s, self._backoff_s = cancel_grace_s, backoff_s
        self._spawn = multiprocessing.get_context("spawn")
        self._cancelled = self._spawn.RawValue("Q", 0)
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()
        self._crashes: deque[float] = deque(maxlen=2 * CRASHES_UNTIL_UNAVAILABLE)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._ready = asyncio.Event()
        self._running: tuple[int, asyncio.Future[Any], WorkerListener | None] | None = None
        self._restart: asyncio.Task[None] | None = None
        self._restart_at_s = 0.0
        self._settling: set[asyncio.Task[None]] = set()
        self._replacing = False
        self._closing = False
        self._is_stopped, self._looked_s = False, 0.0

    # life

    def start(self) -> None:
        """Spawns the child and returns at once; `ready` tells when it takes requests."""
        self._loop = asyncio.get_running_loop()
        self._launch()

    async def ready(self) -> None:
        """Waits until the child takes requests."""
        await self._ready.wait()

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    @property
    def is_idle(self) -> bool:
        """Whether a request would be begun at once."""
        return self.is_ready and not self._turn.locked()

    @property
    def is_unavailable(self) -> bool:
        """Whether the child is down and crashed so often lately that requests are refused until it is up again."""
        return not self.is_ready and self._recent_crashes >= CRASHES_UNTIL_UNAVAILABLE

    @property
    def _recent_crashes(self) -> int:
        oldest_s = time.monotonic() - CRASH_WINDOW_S
        return sum(crash_s > oldest_s for crash_s in self._crashes)

    @property
    def is_stopped(self) -> bool:
        """Whether the child was halted from outside (SIGSTOP, a debugger). Looked up once in a while."""
        if time.monotonic() - self._looked_s > STOPPED_FRESH_S:
            self._looked_s, self._is_stopped = time.monotonic(), _is_halted(self.pid)
        return self._is_stopped

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def close(self) -> None:
        """Ends the child; a running job fails."""
        self._closing = True
        if self._restart:
            self._restart.cancel()
        self._drop_process()
        for task in tuple(self._settling):
            task.cancel()

    def kill(self) -> None:
        """Ends the child now; the supervisor replaces it as after any other end."""
        if self._process and self._process.is_alive():
            self._process.kill()

    # jobs

    async def run(
        self, request: Request[KindT, AnswerT], *, deadline_s: float, listener: WorkerListener | None = None
    ) -> AnswerT:
        """The child's answer to `request`.

        deadline_s  counted from the moment when the child gets the request
        listener    called with progress and previews, from the event loop

        Raises `ApiError`. Cancelling the awaiting task cancels the job.
        """
        await self._turn.acquire()
        number, handed_over = next(self._numbers), False
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        try:
            await self._wait_until_up()
            self._running = (number, answer, listener)
            self._send(Submit(number, request))
            done, _ = await asyncio.wait({answer}, timeout=deadline_s)
            if not done:
                self._settle(number, answer)
                handed_over = True
                raise JobDeadlineExceeded(
                    f"The job was stopped after {deadline_s:.0f} seconds. Use a smaller area or a faster model.",
                )
            return answer.result()
        except asyncio.CancelledError:
            if self._running is not None and not answer.done():
                self._settle(number, answer)
                handed_over = True
            elif answer.done():
                _forget(answer)
            raise
        finally:
            if not handed_over:
                self._let_go()

    def _settle(self, number: int, answer: asyncio.Future[Any]) -> None:
        """Tells the child that a job is unwanted; the next one waits until the child let go of it or was replaced."""
        self._cancelled.value = number
        answer.add_done_callback(_forget)
        task = asyncio.get_running_loop().create_task(self._await_release(answer))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _await_release(self, answer: asyncio.Future[Any]) -> None:
        try:
            done, _ = await asyncio.wait({answer}, timeout=self._cancel_grace_s)
            if not done:
                log.warning("%s worker did not react within %.0f s: replaced", self.name, self._cancel_grace_s)
                self._replacing = True
                self.kill()
                await asyncio.wait({answer})
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._running = None
        self._turn.release()
        self.on_idle()

    async def _wait_until_up(self) -> None:
        if self.is_unavailable:
            raise WorkerUnavailable(
                f"The {self.name} worker ended {self._recent_crashes} times in a short while. See the log.",
                retry_after=max(1, math.ceil(self._restart_at_s - time.monotonic()) + 1),
            )
        if self._closing:
            raise ShuttingDown("The server is stopping.", retry_after=5)
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await self._ready.wait()
        except TimeoutError:
            raise WorkerUnavailable(f"The {self.name} worker does not start. See the log.", retry_after=30) from None

    # process

    def _launch(self) -> None:
        ours, theirs = self._spawn.Pipe(duplex=True)
        process = self._spawn.Process(
            target=worker.main,
            args=(theirs, self._cancelled, self._factory, self._arguments, self.threads),
            name=f"lama-{self.name}",
            daemon=True,
        )
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._connection = process, ours
        threading.Thread(target=self._read, args=(ours,), daemon=True, name=f"{self.name}-pipe").start()

    def _read(self, connection: Connection) -> None:
        """Runs in a thread of its own: hands every message to the event loop."""
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                break
            self._post(self._received, connection, message)
        self._post(self._ended, connection)

    def _post(self, callback: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _send(self, message: Submit[Request[KindT, AnswerT]]) -> None:
        assert self._connection is not None
        with contextlib.suppress(OSError):  # a dead child: `_ended` fails the job
            self._connection.send(message)

    def _received(self, connection: Connection, message: FromWorker) -> None:
        if connection is not self._connection:
            return
        if isinstance(message, Started):
            self._ready.set()
            self.on_idle()
            if self.restarts:
                self.on_restart()
            return
        if self._running is None or self._running[0] != message.number:
            return
        _, answer, listener = self._running
        if isinstance(message, Done | Failed):
            if isinstance(message, Failed) and message.trace:
                log.error("%s worker: %s", self.name, message.trace)
            if not answer.done():
                _resolve(answer, message)
        elif listener is not None:
            listener(message)

    def _ended(self, connection: Connection) -> None:
        connection.close()  # here, since its reader has ended and `_send` runs in this thread
        if connection is not self._connection or self._closing:
            return
        self._ready.clear()
        self._drop_process()
        if not self._replacing:
            log.warning("%s worker ended unexpectedly", self.name)
            self._crashes.append(time.monotonic())
        self._replacing = False
        self.on_exit()
        self._restart = self._loop.create_task(self._start_again())

    async def _start_again(self) -> None:
        pause_s = self._backoff_s[min(max(self._recent_crashes - 1, 0), len(self._backoff_s) - 1)]
        self._restart_at_s = time.monotonic() + pause_s
        await asyncio.sleep(pause_s)
        self.restarts += 1
        try:
            self._launch()
        except OSError as error:  # no descriptors or no memory for a process
            log.warning("%s worker cannot be started: %s", self.name, error)
            self._crashes.append(time.monotonic())
            self._restart = self._loop.create_task(self._start_again())

    def _drop_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join(1)
        self._process = self._connection = None
        if self._running is not None and not self._running[1].done():
            _resolve(self._running[1], _crash(self._closing))


def _is_halted(pid: int | None) -> bool:
    if pid is None:
        return False
    if sys.platform == "linux":  # read here, so that the idle web process does without psutil
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] in ("T", "t")
    import psutil

    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False


def _resolve(answer: asyncio.Future[Any], message: Done | Failed) -> None:
    if isinstance(message, Done):
        answer.set_result(message.value)
    else:
        answer.set_exception(message.error)


def _forget(answer: asyncio.Future[Any]) -> None:
    """Looks at an answer that nobody waits for any more, so that asyncio does not report it as lost."""
    if not answer.cancelled():
        answer.exception()


def _crash(closing: bool) -> Failed:
    if closing:
        return Failed(0, ShuttingDown("The server is stopping.", retry_after=5))
    detail = "The worker process ended while it worked on this. It is being started again: try once more."
    return Failed(0, WorkerCrashed(detail, retry_after=1))
