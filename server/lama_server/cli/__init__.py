"""The command line. `lama-server` serves; `lama-server COMMAND` does something else.

argparse and not a friendlier library: `--help` has to be there at once, typer takes ten times as long to import.
Nothing heavy is imported before a command is known.
"""

from .main import main

__all__ = ["main"]
