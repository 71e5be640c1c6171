"""Exit codes of the command line, and the one error that ends it."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """The process's exit codes and what they mean. Documented in docs/configuration.md."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member

    OK = 0, "Everything was done."
    UNEXPECTED = 1, "An unexpected error; the log has the details."
    USAGE = 2, "A wrong option or command, an unknown model, or an exposure that needs a token."
    PORT_IN_USE = 3, "The port is in use."
    FOLDER = 4, "A folder or file is missing, or cannot be read or written."
    WEIGHTS_CORRUPTED = 5, "Weights are damaged, or those of another model."
    NETWORK_NEEDED = 6, "Weights are missing and could not be fetched."
    DISK_FULL = 7, "The disk is full."


class StartError(Exception):
    """The command cannot go on. Its text is one line for the person at the terminal."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
