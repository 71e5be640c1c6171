"""`lama-server models | download | verify | convert`: a model's files, seen from a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from inpaint_models import weights
from inpaint_models.catalog import families, get_model, list_models
from inpaint_models.errors import (
    DownloadFailed,
    ModelError,
    UnsafeWeights,
    WeightsCorrupted,
    WeightsMissing,
)
from inpaint_models.registry import ModelEntry, Task

from ..exits import ExitCode, StartError
from .main import PROGRAM
from .options import Parser, add_settings, read_settings
from .terminal import Bar, size_text, table

STATE_WORDS = {
    "ready": "ready",
    "unverified": "here, not checked yet",
    "missing": "not downloaded",
    "corrupted": "damaged",
    "unsafe": "refused",
}

REFUSED = ("corrupted", "unsafe")


def run_models(arguments: Sequence[str]) -> int:
    """Lists the catalogue with what is on this machine. Opens no connection and hashes nothing."""
    parser = _parser("models", "List the models: what they are for, size, licence, and what is on this machine.")
    parser.add_argument("--json", action="store_true", help="Print JSON, for programs.")
    given = parser.parse_args(arguments)
    home = _home(given)
    found = [weights.locate(entry, home, check="cached") for entry in list_models(model_dir=home)]
    if given.json:
        sys.stdout.write(json.dumps([_as_json(files) for files in found], indent=1) + "\n")
        return ExitCode.OK
    rows = [_row(files) for files in found]
    sys.stdout.write(table(("MODEL", "TASK", "DOWNLOAD", "STATE", "LICENCE", "FOR"), rows))
    refused = [f"\n{files.entry.name}: {files.explain(folder=home)}" for files in found if files.status in REFUSED]
    sys.stdout.write("".join(refused) + f"\nModel folder: {home}\n")
    return ExitCode.OK


def run_download(arguments: Sequence[str]) -> int:
    """Fetches what is missing. Raises `StartError`."""
    parser = _parser(
        "download",
        "Fetch the weights of models; what is on this machine already is not fetched again.",
        "local_files_only",
    )
    _add_names(parser, "Model, or all but those of extras. A diffusion model also as owner/name on Hugging Face.")
    parser.add_argument("--model", action="append", default=[], metavar="MODEL", help="The same, as IOPaint spells it.")
    given = parser.parse_args(arguments)
    names = [*given.models, *given.model]
    if not names:
        parser.error("name a model, or all")
    home = _home(given)
    offline = read_settings(given).local_files_only
    for entry in _entries(names, home, offline=offline):
        if "all" in names and entry.extra:
            continue
        if not entry.weights:
            sys.stdout.write(f"{entry.title} needs no weights.\n")
            continue
        files = fetch(entry, home, offline=offline, out=sys.stdout)
        for name, path in files.paths.items():
            sys.stdout.write(f"{name}: ready, {path}\n")
    return ExitCode.OK


def run_verify(arguments: Sequence[str]) -> int:
    """Hashes every file on this machine again. Raises `StartError` when one is damaged."""
    parser = _parser("verify", "Hash the weights on this machine again and compare them with what was published.")
    _add_names(parser, "Model. Without a name: all.")
    parser.add_argument(
        "--accept", action="store_true", help="Trust files of your own that have changed, as they are now."
    )
    given = parser.parse_args(arguments)
    home = _home(given)
    if given.accept and not given.models:
        parser.error("--accept needs the name of a model")
    damaged = [
        files for entry in _entries(given.models or ["all"], home) if (files := _verify(entry, home, given.accept))
    ]
    for path in weights.drop_damaged(home):
        sys.stdout.write(f"{path.name}: damaged copy deleted; it is made anew when it is needed\n")
    if damaged:
        said = " ".join(files.explain(folder=home) for files in damaged)
        raise StartError(ExitCode.WEIGHTS_CORRUPTED, said)
    return ExitCode.OK


def run_convert(arguments: Sequence[str]) -> int:
    """Writes a safetensors copy of any accepted checkpoint. Raises `StartError`."""
    parser = _parser("convert", "Write a checkpoint as .safetensors, which can carry no code and loads at once.")
    parser.add_argument("file", type=Path, metavar="FILE", help="A .ckpt, .pth, .pt or .safetensors file.")
    parser.add_argument(
        "--model", required=True, metavar="NAME", help=f"The model that the weights are for: {model_names()}."
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="Where to. Default: into the model folder, to be used."
    )
    parser.add_argument(
        "--allow-torchscript",
        action="store_true",
        help="Open a TorchScript file although its hash is not published. TorchScript is a program: trust its origin.",
    )
    given = parser.parse_args(arguments)
    home = _home(given)
    (entry,) = _entries([given.model], home)
    try:
        made = weights.convert(
            given.file.expanduser(),
            entry,
            given.output,
            model_dir=home,
            allow_torchscript=given.allow_torchscript,
            families=families(),
        )
    except ModelError as error:
        raise StartError(exit_code(error), str(error)) from None
    sys.stdout.write(f"{made} ({size_text(made.stat().st_size)})\n")
    return ExitCode.OK


def fetch(entry: ModelEntry, home: Path, *, offline: bool, out: TextIO) -> weights.ModelFiles:
    """The model's files. What is missing is downloaded with a bar, after `out` was told the licence.

    Raises `StartError` where they cannot be had.
    """
    found = weights.locate(entry, home)
    if found.status == "ready":
        return found
    if offline:
        code = ExitCode.WEIGHTS_CORRUPTED if found.status in REFUSED else ExitCode.NETWORK_NEEDED
        raise StartError(code, found.explain(offline=True, folder=home))
    out.write(licence_line(entry))
    out.flush()
    bar = Bar(sys.stderr, amount_text=size_text)

    def listen(progress: weights.TransferProgress) -> None:
        words = {"waiting": f"{progress.file}: another process is downloading it", "verifying": "checking"}
        bar.show(words.get(progress.stage, progress.file), progress.done_bytes, progress.total_bytes)

    try:
        return weights.download(entry, home, progress=listen)
    except ModelError as error:
        raise StartError(exit_code(error), f"{error} Model folder: {home}") from None
    finally:
        bar.end()


def licence_line(entry: ModelEntry) -> str:
    """What to know before a download."""
    licence = entry.licence
    commercial = "" if licence.commercial_use else " NOT for commercial use."
    return f"{entry.title}, licence of the weights: {licence.name}.{commercial} {licence.url}\n"


def exit_code(error: ModelError) -> ExitCode:
    """The exit code of a command that the library's error ends."""
    if isinstance(error, WeightsCorrupted | UnsafeWeights):
        return ExitCode.WEIGHTS_CORRUPTED
    if isinstance(error, DownloadFailed) and error.cause in ("disk_full", "disk"):
        return ExitCode.DISK_FULL if error.cause == "disk_full" else ExitCode.FOLDER
    if isinstance(error, DownloadFailed | WeightsMissing):
        return ExitCode.NETWORK_NEEDED
    return ExitCode.USAGE


def _parser(command: str, description: str, *settings: str) -> Parser:
    parser = Parser(prog=f"{PROGRAM} {command}", description=description, allow_abbrev=False)
    add_settings(parser, ["model_dir", *settings])
    return parser


def _add_names(parser: Parser, text: str) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{text} There are: {model_names()}.")


def model_names(task: Task | None = None) -> str:
    """Every model, or those of a task, for help texts."""
    return ", ".join(entry.name for entry in list_models(task))


def _home(given: argparse.Namespace) -> Path:
    return read_settings(given).resolved_model_dir()


def _entries(names: Sequence[str], home: Path, *, offline: bool = True) -> tuple[ModelEntry, ...]:
    if "all" in names:
        return list_models(model_dir=home)
    try:
        return tuple(get_model(name, None, home, local_files_only=offline) for name in names)
    except ModelError as error:
        raise StartError(exit_code(error), str(error)) from None


def _row(files: weights.ModelFiles) -> tuple[str, ...]:
    entry = files.entry
    licence = entry.licence.name if entry.licence.commercial_use else f"{entry.licence.name}, not commercial"
    state = STATE_WORDS[files.status]
    if files.status == "missing" and (absent := entry.missing_packages()):
        state = f"needs {', '.join(absent)}"
    if entry.broken:
        state = "cannot be used"
    unpublished = bool(entry.weights) and not entry.download_bytes
    about = "" if entry.sizes_are_known or unpublished else "about "
    size = "unknown" if unpublished else about + size_text(entry.download_bytes)
    return entry.name, entry.task, size, state, licence, entry.tagline


def _as_json(files: weights.ModelFiles) -> dict[str, object]:
    entry = files.entry
    return {
        **{name: getattr(entry, name) for name in ("name", "title", "task", "tagline")},
        "licence": asdict(entry.licence),
        "download_bytes": entry.download_bytes,
        "download_is_estimate": not entry.sizes_are_known,
        "memory_bytes": entry.memory_bytes,
        "state": files.status,
        "files": [
            {
                "name": state.file.name,
                "state": state.status,
                "path": None if state.path is None else str(state.path),
                "proof": state.proof,
                "note": state.note,
            }
            for state in files.files
        ],
    }


def _verify(entry: ModelEntry, home: Path, accept: bool) -> weights.ModelFiles | None:
    """Prints what was found; returns the files when one of them is damaged."""
    if accept:
        weights.accept(entry, home)
    bar = Bar(sys.stderr, amount_text=size_text)
    files = weights.locate(
        entry, home, check="all", listener=lambda done: bar.show(f"checking {entry.name}", done, None)
    )
    bar.end()
    for state in files.files:
        words = f"{state.path}: {state.proof}" if state.status == "ready" else state.note or "not on this machine"
        sys.stdout.write(f"{entry.name}  {state.file.name}  {STATE_WORDS[state.status]}  {words}\n")
    return files if files.status in REFUSED else None
