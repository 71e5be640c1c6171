"""`lama-server inpaint IMAGE [MASK] -o OUT`: one photo or a folder of them, without a server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from inpaint_models import devices, load_model, weights
from inpaint_models.catalog import get_model, list_models
from inpaint_models.errors import ModelError
from inpaint_models.options import FillOptions
from inpaint_models.registry import STRATEGIES, ModelEntry, Task
from inpaint_models.types import ParamValue

from .. import codec
from ..errors import BatchInvalid, DiskFull, ImageError, SaveError
from ..exits import ExitCode, StartError
from ..model_manager.manager import AUTO_ORDER
from ..schemas.base import RENDER_FORMATS
from ..schemas.canvas import Extend
from .models import exit_code, fetch, model_names
from .options import Parser, add_settings, read_settings
from .photos import batch, finding, remaking
from .photos.report import Report
from .terminal import Bar

SHARED_SETTINGS = (
    "model",
    "device",
    "precision",
    "half",
    "cpu_offload",
    "sd_cpu_textencoder",
    "model_dir",
    "local_files_only",
    "quality",
    "strip_metadata",
    "max_megapixels",
)

WHOLE_PHOTO: tuple[Task, ...] = ("matte", "enlarge", "restore")
"""What models do that take no mask."""


def parser() -> Parser:
    """The options of the command."""
    made = Parser(
        prog="lama-server inpaint",
        description="Fill photos, or make them anew, without the server.",
        allow_abbrev=False,
    )
    made.add_argument("image", type=Path, help="a photo, or a folder of them")
    _what_to_fill(made)
    made.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder for results")
    made.add_argument("--format", choices=RENDER_FORMATS, default="keep", help="format of results")
    made.add_argument("--seed", type=int, default=0, help="chooses among the results of a model that has several")
    made.add_argument("--strategy", choices=STRATEGIES, default="auto", help="how the model sees a large photo")
    made.add_argument("--grow", type=int, default=0, metavar="PX", help="grow the mask before filling")
    made.add_argument("--feather", type=int, default=0, metavar="PX", help="fade the fill in inside the mask")
    made.add_argument("--no-finish", action="store_true", help="leave a network's fill without grain and colour match")
    made.add_argument(
        "--param",
        action="append",
        default=[],
        type=parameter,
        metavar="NAME=VALUE",
        help="parameter of the model: a number, words, true or false, a picture's file; may be repeated",
    )
    add_settings(
        made,
        SHARED_SETTINGS,
        texts={
            "device": "Where the network runs: auto (a GPU when there is one), cpu, cuda, cuda:1, mps. Default: auto.",
            "model": f"Model that fills: {model_names('fill')}; or makes the whole photo anew: "
            f"{', '.join(map(model_names, WHOLE_PHOTO))}. Default: auto, the best that needs no download now.",
            "quality": "JPEG and WebP quality. Default: the original's own where it can be kept, else 95 and 90.",
        },
    )
    return made


def _what_to_fill(made: Parser) -> None:
    made.add_argument(
        "mask",
        type=Path,
        nargs="?",
        help="one mask for all, or a folder with one of the same name for each; may be left out with --extend "
        "and --find, and with models that fill nothing",
    )
    made.add_argument(
        "--extend",
        type=margins,
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="add so many pixels at each side, and fill them: 0,256,0,256 makes the photo 512 pixels higher",
    )
    made.add_argument(
        "--find",
        type=finding.names,
        metavar="WHAT,...",
        help="fill what is found instead of a mask, and say what that was: "
        + ", ".join(entry.name for entry in list_models("find")),
    )
    made.add_argument("--report", type=Path, metavar="FILE.json", help="write what --find found into a new file")


def run(arguments: Sequence[str]) -> int:
    """Fills what was asked for; a photo that fails is reported and the rest goes on. Raises `StartError`."""
    given = parser().parse_intermixed_args(arguments)
    try:
        summary = fill(given)
    except BatchInvalid as error:
        raise StartError(ExitCode.USAGE, str(error)) from None
    except SaveError as error:
        code = ExitCode.DISK_FULL if isinstance(error, DiskFull) else ExitCode.FOLDER
        raise StartError(code, f"{error} Output: {given.output}") from None
    except ModelError as error:
        raise StartError(exit_code(error), str(error)) from None
    sys.stdout.write(
        f"{summary.filled} filled, {summary.copied} copied, {summary.skipped} skipped, {summary.failed} failed\n"
    )
    return ExitCode.UNEXPECTED if summary.failed else ExitCode.OK


def fill(given: argparse.Namespace) -> batch.Summary:
    """Checks everything that was asked for, and only then fetches weights that are missing, and fills.

    Raises `StartError`, `BatchInvalid`, `SaveError`, `ModelError`.
    """
    settings = read_settings(given)
    devices.check_name(settings.device)
    home = settings.resolved_model_dir()
    entry = choose(settings.model, home, local_files_only=settings.local_files_only)
    check_hole(given, entry)
    limits = codec.ImageLimits(max_pixels=settings.max_megapixels * 1_000_000)
    params = entry.params_from_text(dict(given.param), partial(open_picture, limits=limits))
    options = fill_options(given, params)
    jobs = batch.plan(given.image, given.mask, given.output, format=given.format, extend=given.extend)
    report = Report(given.report) if given.report else None
    fetch(entry, home, offline=settings.local_files_only, out=sys.stderr)
    load = partial(
        load_model,
        entry.name if settings.model == "auto" else settings.model,
        device=settings.device,
        precision=settings.resolved_precision,
        model_dir=home,
        local_files_only=True,
        cpu_offload=settings.cpu_offload,
        text_encoder_on_cpu=settings.sd_cpu_textencoder,
    )
    writer = batch.Writer(given.quality, settings.strip_metadata, limits)
    process: batch.Process
    if entry.task == "fill":
        find = finding.finding(given.find) if given.find else None
        process = batch.Fill(load(), options, writer, find)
    else:
        process = remaking.Remake(cast("remaking.Remaker", load(task=entry.task)), params, writer)
    return show(jobs, process, report)


def fill_options(given: argparse.Namespace, params: Mapping[str, ParamValue]) -> FillOptions:
    return FillOptions(
        seed=given.seed,
        strategy=given.strategy,
        grow_px=given.grow,
        feather_px=given.feather,
        finish=not given.no_finish,
        params=params,
    )


def show(jobs: Sequence[batch.Job], process: batch.Process, report: Report | None) -> batch.Summary:
    """Does the jobs, and says what became of each photo. Raises as `batch.run_all`, and `SaveError` of the report."""
    bar = Bar(sys.stderr)

    def tell(event: batch.Event) -> None:
        made = event.made
        if made.found:
            bar.end()
            sys.stdout.write(f"{event.job.image.name}: found {made.found.text}\n")
        if made.message:
            bar.end()
            sys.stderr.write(f"{event.job.image.name}: {made.message}\n")
        bar.show("inpaint", event.index, event.total)
        if report:
            report.add(event)

    try:
        return batch.run_all(jobs, process, tell)
    finally:
        bar.end()
        if report:
            report.write()


def check_hole(given: argparse.Namespace, entry: ModelEntry) -> None:
    """Raises `BatchInvalid` unless it was said what is to be filled, in one way, or the model fills nothing."""
    if given.report is not None and given.find is None:
        raise BatchInvalid("--report says what was found: give --find too.")
    if entry.task != "fill":
        if (given.mask, given.extend, given.find) != (None, None, None):
            raise BatchInvalid(f"{entry.title} works on the whole photo: it takes no mask, no --extend and no --find.")
        return
    if given.mask is None and given.extend is None and given.find is None:
        raise BatchInvalid("There is nothing to fill. Give a mask, what to --find, or how far to --extend the photo.")
    if given.find is not None and (given.mask is not None or given.extend is not None):
        raise BatchInvalid("--find takes no mask and no --extend: what is found is filled.")


def choose(name: str, home: Path, *, local_files_only: bool = True) -> ModelEntry:
    """The entry of that name; for auto the best that needs no download now. Raises as `get_model`."""
    if name != "auto":
        entry = get_model(name, model_dir=home, local_files_only=local_files_only)
        return entry if entry.task in WHOLE_PHOTO else get_model(name, "fill", home, local_files_only=local_files_only)
    entries = [get_model(model) for model in AUTO_ORDER]
    return next(entry for entry in entries if weights.locate(entry, home).status == "ready")


def open_picture(path: str, limits: codec.ImageLimits) -> codec.Pixels:
    """What --param takes for a picture. Raises `StartError`."""
    try:
        return codec.decode(Path(path), replace(limits, min_side=1)).pixels
    except (OSError, ImageError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise StartError(ExitCode.USAGE, f"The picture {path} cannot be read: {said}") from None


def margins(text: str) -> Extend:
    """What --extend takes. Raises argparse's error."""
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
        return Extend(op="extend", left=left, top=top, right=right, bottom=bottom)
    except ValueError:  # pydantic's error is one too
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form LEFT,TOP,RIGHT,BOTTOM: four numbers of pixels, one of them more than 0"
        ) from None


def parameter(text: str) -> tuple[str, str]:
    """What --param takes. Raises argparse's error."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value
