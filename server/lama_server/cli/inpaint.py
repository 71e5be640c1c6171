"""`lama-server inpaint IMAGE MASK -o OUT`: one picture or a folder of them, without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inpaint_models import load_model
from inpaint_models.errors import DownloadFailed, ModelError, WeightsCorrupted, WeightsMissing
from inpaint_models.inpainter import Inpainter
from inpaint_models.options import FillOptions
from inpaint_models.registry import STRATEGIES

from .. import batch, codec
from ..errors import BatchInvalid, SaveError
from ..exits import ExitCode, StartError
from ..models_state import AUTO_ORDER
from ..schemas import RENDER_FORMATS
from ..settings import Settings
from .options import Parser, add_settings, read_settings
from .terminal import Bar

SHARED_SETTINGS = (
    "model",
    "device",
    "precision",
    "model_dir",
    "local_files_only",
    "quality",
    "strip_metadata",
    "max_megapixels",
)


def parser() -> Parser:
    """The options of the command."""
    made = Parser(prog="lama-server inpaint", description="Fill photos without the server.", allow_abbrev=False)
    made.add_argument("image", type=Path, help="a photo, or a folder of them")
    made.add_argument("mask", type=Path, help="one mask for all, or a folder with one of the same name for each")
    made.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder for results")
    made.add_argument("--format", choices=RENDER_FORMATS, default="keep", help="format of results")
    made.add_argument("--seed", type=int, default=0, help="chooses among the answers of a model with variations")
    made.add_argument("--strategy", choices=STRATEGIES, default="auto", help="how the model sees a large photo")
    made.add_argument("--grow", type=int, default=0, metavar="PX", help="grow the mask before filling")
    made.add_argument("--feather", type=int, default=0, metavar="PX", help="fade the fill in inside the mask")
    made.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="parameter of the model; may be repeated"
    )
    add_settings(made, SHARED_SETTINGS)
    return made


def run(arguments: Sequence[str]) -> int:
    """Fills; a picture that fails is reported and the rest goes on. Raises `StartError`."""
    given = parser().parse_args(arguments)
    settings = read_settings(given)
    bar = Bar(sys.stderr)

    def tell(event: batch.Event) -> None:
        if event.outcome == "failed":
            bar.end()
            sys.stderr.write(f"{event.job.image.name}: {event.message}\n")
        bar.show("inpaint", event.index, event.total)

    try:
        options = FillOptions(
            seed=given.seed,
            strategy=given.strategy,
            grow_px=given.grow,
            feather_px=given.feather,
            params=dict(parameter(text) for text in given.param),
        )
        inpainter = load(settings)
        inpainter.entry.check_params(options.params)
        summary = batch.run_batch(
            given.image,
            given.mask,
            given.output,
            inpainter,
            options,
            format=given.format,
            quality=settings.quality if "--quality" in arguments else None,
            strip_metadata=settings.strip_metadata,
            limits=codec.Limits(max_pixels=settings.max_megapixels * 1_000_000),
            on_event=tell,
        )
    except BatchInvalid as error:
        raise StartError(ExitCode.USAGE, str(error)) from None
    except SaveError as error:
        raise StartError(ExitCode.FOLDER, str(error)) from None
    except ModelError as error:
        raise StartError(_exit_code(error), str(error)) from None
    finally:
        bar.end()
    sys.stdout.write(
        f"{summary.filled} filled, {summary.copied} copied, {summary.skipped} skipped, {summary.failed} failed\n"
    )
    return ExitCode.UNEXPECTED if summary.failed else ExitCode.OK


def load(settings: Settings) -> Inpainter:
    """The model of the settings; auto takes the best whose weights are here. Raises `ModelError`."""
    names = AUTO_ORDER if settings.model == "auto" else (settings.model,)
    missing: WeightsMissing | None = None
    for name in names:
        try:
            return load_model(
                name,
                device=settings.device,
                precision=settings.precision,
                model_dir=settings.model_dir,
                local_files_only=settings.local_files_only or settings.model == "auto",
            )
        except WeightsMissing as error:
            missing = error
    raise missing or WeightsMissing("No model is ready.")


def parameter(text: str) -> tuple[str, Any]:
    """NAME=VALUE with the value as JSON where it is JSON, else as text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _exit_code(error: ModelError) -> ExitCode:
    if isinstance(error, WeightsCorrupted):
        return ExitCode.WEIGHTS_CORRUPTED
    if isinstance(error, WeightsMissing | DownloadFailed):
        return ExitCode.NETWORK_NEEDED
    return ExitCode.USAGE
