"""Choosing a command, and ending in one clear line and a documented exit code whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name

from ..exits import ExitCode, StartError

PROGRAM = "lama-server"


@dataclass(frozen=True, slots=True)
class Command:
    """A sub-command: what it does in a few words, and "module:function" that takes its arguments."""

    help: str
    target: str

    def run(self, arguments: Sequence[str]) -> int:
        function: Callable[[Sequence[str]], int] = resolve_name(self.target)
        return function(arguments)


COMMANDS: dict[str, Command] = {
    "serve": Command("start the server; the same as no command", "lama_server.cli.serve:run"),
    "start": Command("the same, as IOPaint spells it", "lama_server.cli.serve:run"),
    "inpaint": Command("fill photos without the server, one or a folder of them", "lama_server.cli.inpaint:run"),
    "run": Command("the same with the options of iopaint run", "lama_server.cli.older:run"),
    "models": Command("list the models and what is on this machine", "lama_server.cli.models:run_models"),
    "list": Command("the same as models", "lama_server.cli.models:run_models"),
    "download": Command("fetch a model's weights", "lama_server.cli.models:run_download"),
    "verify": Command("hash the weights on this machine again", "lama_server.cli.models:run_verify"),
    "convert": Command("write a safetensors copy of a weights file", "lama_server.cli.models:run_convert"),
    "evaluate": Command("measure engines on your own photos, side by side", "lama_server.cli.evaluate:run"),
    "cluster": Command("start the server on a Ray cluster", "lama_server.cluster.command:run"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code. Options without a command serve."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = "serve" if not given or given[0].startswith("-") else given.pop(0)
    try:
        if name not in COMMANDS:
            raise StartError(ExitCode.USAGE, f"There is no command {name!r}. There are: {', '.join(COMMANDS)}.")
        return COMMANDS[name].run(given)
    except StartError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return ExitCode.UNEXPECTED
