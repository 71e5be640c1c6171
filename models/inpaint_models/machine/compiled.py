"""Compiles the inner loops with numba: each kernel once, for one signature, cached on disk where a folder allows it.

A kernel carries its signature, so that it compiles (or loads) when it is asked to and not when a stroke first needs it,
and so that two processes that fill the same empty cache write the same content under the same name.
"""

from __future__ import annotations

import importlib
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec

from ..errors import Unavailable
from ..folders import default_cache_dir

_log = logging.getLogger(__name__)
_kernels: list[Kernel[...]] = []
_place = threading.Lock()

P = ParamSpec("P")

Array = Any
Number = Any
"""Inside kernels, where numba's types rule: the kernel's signature says what they are."""


def _import_numba() -> tuple[Any, str]:
    """(module, "") or (None, what went wrong): it may be missing, or built for another NumPy."""
    try:
        return importlib.import_module("numba"), ""
    except ImportError as error:
        return None, str(error)


numba, _import_problem = _import_numba()

# RuntimeError: no folder to write to. The rest is what reading or writing a file, and unpickling a damaged one, can
# raise. A true error in a kernel shows itself again when the kernel is compiled without the cache.
_CACHE_PROBLEMS = (
    RuntimeError, OSError, EOFError, pickle.PickleError, ValueError, LookupError, TypeError, AttributeError,
    ImportError,
)  # fmt: skip


def require_numba() -> None:
    """Raises Unavailable, with what to do, where kernels cannot be compiled."""
    if numba is None:
        raise Unavailable(
            f"The exemplar engine needs numba, which cannot be imported ({_import_problem}). "
            "Install it (pip install numba) or choose another model, for example opencv."
        )


def inlined(function: Callable[P, Any]) -> Callable[P, Any]:
    """Marks a small function that kernels call; it is compiled into each of them."""
    compiled: Callable[P, Any] = function if numba is None else numba.njit(nogil=True)(function)
    return compiled


@contextmanager
def _in_our_cache() -> Iterator[None]:
    """Compiled functions that are made meanwhile are kept below the application's cache folder.

    Where NUMBA_CACHE_DIR names a folder that holds, and kernels of others in this process stay where they are. numba
    itself falls back to the package's own folder where ours cannot be written.
    """
    with _place:
        chosen = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = chosen or str(default_cache_dir() / "compiled")
        try:
            yield
        finally:
            numba.config.CACHE_DIR = chosen


class Kernel(Generic[P]):
    """A function of arrays, without the interpreter lock, that returns nothing; results go to its output arguments."""

    def __init__(self, function: Callable[P, None], signature: str, *, fastmath: bool) -> None:
        self._function = function
        self._signature = signature
        self._fastmath = fastmath
        self._lock = threading.Lock()
        self._machine_code: Callable[P, None] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        (self._machine_code or self.prepare())(*args, **kwargs)

    def prepare(self) -> Callable[P, None]:
        """Loads the machine code from the cache or compiles it (about a second); thread-safe; raises Unavailable."""
        require_numba()
        with self._lock:
            if self._machine_code is None:
                self._machine_code = self._from_cache() or self._compile(cache=False)
            return self._machine_code

    def _from_cache(self) -> Callable[P, None] | None:
        """None when no folder can hold the cache, or what it holds cannot be used: a full disk, a torn file."""
        try:
            return self._compile(cache=True)
        except _CACHE_PROBLEMS as error:
            _log.warning("Cannot keep compiled code of %s on disk: %s", self._function.__name__, error)
            return None

    def _compile(self, *, cache: bool) -> Callable[P, None]:
        with _in_our_cache():
            dispatcher = numba.njit(nogil=True, cache=cache, fastmath=self._fastmath)(self._function)
        dispatcher.compile(self._signature)
        dispatcher.disable_compile()
        machine_code: Callable[P, None] = dispatcher
        return machine_code


def kernel(signature: str, *, fastmath: bool = False) -> Callable[[Callable[P, None]], Kernel[P]]:
    """Decorator. `signature` in numba's notation, e.g. "void(uint8[::1], int64)"."""

    def register(function: Callable[P, None]) -> Kernel[P]:
        made = Kernel(function, signature, fastmath=fastmath)
        _kernels.append(made)
        return made

    return register


def kernels() -> tuple[Kernel[...], ...]:
    """Every kernel of the modules imported so far."""
    return tuple(_kernels)
