"""Exit codes of the command line, and the one error that ends it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process's exit code means. Documented in docs/configuration.md."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    PORT_IN_USE = 3
    FOLDER = 4
    WEIGHTS_CORRUPTED = 5
    NETWORK_NEEDED = 6
    DISK_FULL = 7

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "Everything was done.",
    ExitCode.UNEXPECTED: "An unexpected error; the log has the details.",
    ExitCode.USAGE: "A wrong option or command, an unknown model, or an exposure that needs a token.",
    ExitCode.PORT_IN_USE: "The port is in use.",
    ExitCode.FOLDER: "A folder or file is missing, or cannot be read or written.",
    ExitCode.WEIGHTS_CORRUPTED: "Weights are damaged, or those of another model.",
    ExitCode.NETWORK_NEEDED: "Weights are missing and could not be fetched.",
    ExitCode.DISK_FULL: "The disk is full.",
}


class StartError(Exception):
    """The command cannot go on. Its text is one line for the person at the terminal."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
