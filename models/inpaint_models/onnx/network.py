"""A network in a file of ONNX, run by onnxruntime so that it can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import EngineFailed, WeightsCorrupted
from ..machine import available_processors

_TICK_S = 0.1
_ERRORS_ONLY = 3

Array = NDArray[Any]


class OnnxNetwork:
    """Inputs and outputs are those of the file, by name.

    Such a file carries no code. Others that it names for its tensors are read from its own folder only.
    """

    def __init__(self, path: Path) -> None:
        """Raises `WeightsCorrupted` for what onnxruntime cannot run."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_processors()
        options.log_severity_level = _ERRORS_ONLY
        options.enable_cpu_mem_arena = False  # what a run took is given back after it
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name = path.name
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no class in common
            raise WeightsCorrupted(f"{path.name} cannot be run by onnxruntime: {_first_line(error)}") from error

    @property
    def inputs(self) -> dict[str, Sequence[int | str | None]]:
        """Name -> shape; sides of any length are words or None."""
        return {given.name: given.shape for given in self._session.get_inputs()}

    @property
    def outputs(self) -> dict[str, Sequence[int | str | None]]:
        return {made.name: made.shape for made in self._session.get_outputs()}

    def run(self, arrays: Mapping[str, Array], still_wanted: Callable[[], None]) -> list[Array]:
        """All outputs, in the file's order.

        arrays        by the names of inputs; numbers of another format are converted
        still_wanted  asked several times a second; what it raises ends the run

        Raises `EngineFailed`.
        """
        formats = {given.name: given.type for given in self._session.get_inputs()}
        given = {
            name: array.astype(np.float16 if "float16" in formats[name] else array.dtype, copy=False)
            for name, array in arrays.items()
        }
        options = onnxruntime.RunOptions()
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(self._session.run, None, given, options)
            try:
                still_wanted()
                while not wait([answer], _TICK_S).done:
                    still_wanted()
            except BaseException:
                options.terminate = True
                raise
        try:
            made: list[Array] = answer.result()
        except Exception as error:
            raise EngineFailed(f"{self.name} failed in onnxruntime: {_first_line(error)}") from error
        return made


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
