"""`lama-server evaluate PHOTOS -o OUT`: engines side by side on the user's own photos, measured and pictured.

One photo is in memory at a time. What was measured before Ctrl+C, or beside a photo that cannot be read, is in the
report all the same.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_models import devices, load_model
from inpaint_models.catalog import get_model
from inpaint_models.errors import ModelError
from inpaint_models.evaluation.comparison import Failure, Fill, Pair, compare
from inpaint_models.evaluation.masks import SAMPLERS
from inpaint_models.evaluation.report import Report
from inpaint_models.evaluation.tables import as_markdown, titled_tables
from inpaint_models.loading import warm_up
from inpaint_models.options import OPTIONS, SEED_LIMIT, FillOptions
from inpaint_models.types import AnyImage, Box, HoleMask

from .. import codec
from ..errors import ApiError, BatchInvalid
from ..exits import ExitCode, StartError
from ..imaging import masks
from ..settings import Settings
from .inpaint import open_picture, parameter
from .models import exit_code, fetch, model_names
from .options import Parser, add_settings, read_settings
from .photos.batch import image_files
from .terminal import Bar

if TYPE_CHECKING:
    from inpaint_models.evaluation.networks import NetworkMetrics  # needs torch
    from inpaint_models.pipeline.inpainter import Inpainter

SHARED_SETTINGS = ("device", "precision", "model_dir", "local_files_only", "max_megapixels")
DEFAULT_SAMPLERS = ("lama-thin", "lama-medium", "lama-thick")
_MASK_ENDING = "_mask"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of the set, and its mask, truth and other programs' results where they are given."""

    path: Path
    mask: Path | None = None
    truth: Path | None = None
    results: Mapping[str, Path] = field(default_factory=dict)


def parser() -> Parser:
    """The options of the command."""
    made = Parser(prog="lama-server evaluate", description="Measure engines on your own photos.", allow_abbrev=False)
    made.add_argument("photos", type=Path, help="a photo, or a folder of them")
    made.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="new folder for the report")
    made.add_argument(
        "--engine",
        action="append",
        type=engine,
        metavar="NAME[,PARAM=VALUE...]",
        help="engine with its parameters and options of every fill, as in opencv,method=telea or lama,finish=false; "
        f"may be repeated, others are compared with the first. Default: patchmatch. There are: {model_names('fill')}.",
    )
    _add_masks(made)
    made.add_argument("--seed", type=seed, default=0, help="of the masks and of the engines")
    made.add_argument(
        "--inception",
        type=Path,
        metavar="FILE",
        help="inception-2015-12-05.pt of the StyleGAN metrics, for FID, U-IDS and P-IDS. It is a program: trust its "
        "origin.",
    )
    made.add_argument(
        "--lpips", type=Path, metavar="FILE", help="vgg16.pt of the StyleGAN metrics, for LPIPS. It is a program too."
    )
    add_settings(made, SHARED_SETTINGS)
    return made


def _add_masks(made: Parser) -> None:
    """The options that say what is filled, and what it is compared with."""
    made.add_argument(
        "--masks",
        type=Path,
        metavar="MASKS",
        help="one mask for all, or a folder with one of the same name for each photo. Default: NAME_mask beside NAME "
        "where there is one, else masks are drawn.",
    )
    made.add_argument(
        "--sampler",
        action="append",
        choices=tuple(SAMPLERS),
        help=f"draw masks as this evaluation does; may be repeated. Default: {', '.join(DEFAULT_SAMPLERS)}.",
    )
    made.add_argument("--per-photo", type=count, default=1, metavar="N", help="masks of each sampler for each photo")
    made.add_argument(
        "--truth",
        type=Path,
        metavar="DIR",
        help="folder with photos of the same names that show what is behind the given masks. Drawn masks need none.",
    )
    made.add_argument(
        "--results",
        action="append",
        default=[],
        type=parameter,
        metavar="NAME=DIR",
        help="folder with what another program made of the photos and the given masks, called like them or "
        "PHOTO_NAME; may be repeated",
    )


def run(arguments: Sequence[str]) -> int:
    """Measures and writes the report; a photo that cannot be read is told and left out. Raises `StartError`."""
    given = parser().parse_args(arguments)
    try:
        return evaluate(given)
    except BatchInvalid as error:
        raise StartError(ExitCode.USAGE, str(error)) from None
    except ModelError as error:
        raise StartError(exit_code(error), str(error)) from None
    except OSError as error:
        raise StartError(
            ExitCode.FOLDER, f"The report cannot be written to {given.output}: {error.strerror}."
        ) from None


def evaluate(given: argparse.Namespace) -> int:
    """Checks everything that was asked for, and only then fetches, loads and measures.

    Raises `StartError`, `BatchInvalid`, `ModelError`, `OSError`.
    """
    settings = read_settings(given)
    devices.check_name(settings.device)
    limits = codec.ImageLimits(max_pixels=settings.max_megapixels * 1_000_000)
    photos = plan(given)
    if given.output.exists() and (not given.output.is_dir() or any(given.output.iterdir())):
        raise BatchInvalid(f"{given.output} is there already. Give a new folder for the report.")
    networks = _networks(given)
    fills = _fills(given, settings, limits)
    run = Run(photos, tuple(given.sampler or DEFAULT_SAMPLERS), given.per_photo, given.seed, limits)
    report = Report(given.output)
    stopped = False
    try:
        run.measure(fills, networks, report)
    except KeyboardInterrupt:
        stopped = True
    totals = {} if networks is None else networks.of_all_pairs()
    lines = report.finish(_notes(given, report, stopped), totals)
    for title, rows in titled_tables(lines, totals):
        sys.stdout.write("\n".join([title, "", *as_markdown(rows), "", ""]))
    sys.stdout.write(f"Report: {given.output / 'report.html'}\n")
    if stopped:
        raise KeyboardInterrupt
    return ExitCode.UNEXPECTED if report.failures else ExitCode.OK


def plan(given: argparse.Namespace) -> list[Photo]:
    """The photos with their masks and truths, by name alone. Raises `BatchInvalid`."""
    found = image_files(given.photos)
    beside = {path.stem.removesuffix(_MASK_ENDING): path for path in found if path.stem.endswith(_MASK_ENDING)}
    photos = [path for path in found if path not in beside.values()]
    drawn = given.sampler or not (given.masks or beside)
    if drawn and (given.masks or given.truth or given.results):
        raise BatchInvalid("--truth and --results need given masks. Leave out --sampler, or give --masks.")
    if drawn:
        return [Photo(path) for path in photos]
    truths = {} if given.truth is None else {path.stem: path for path in image_files(given.truth)}
    results = {name: {path.stem: path for path in image_files(Path(folder))} for name, folder in given.results}
    if given.masks is None:
        photos, mask_of = [path for path in photos if path.stem in beside], beside
    else:
        files = image_files(given.masks)
        mask_of = {path.stem.removesuffix(_MASK_ENDING): path for path in files} if given.masks.is_dir() else {}
        mask_of = mask_of or dict.fromkeys((path.stem for path in photos), given.masks)
    if missing := [path.name for path in photos if path.stem not in mask_of]:
        raise BatchInvalid(f"There is no mask for {', '.join(missing)}. Add them, or draw masks with --sampler.")
    return [Photo(path, mask_of[path.stem], truths.get(path.stem), dict(_results_of(path, results))) for path in photos]


def _results_of(photo: Path, results: Mapping[str, Mapping[str, Path]]) -> Iterator[tuple[str, Path]]:
    """What each program made of a photo: PHOTO_NAME, else a file called like the photo that is not the photo."""
    for name, by_stem in results.items():
        found = by_stem.get(f"{photo.stem}_{name}") or by_stem.get(photo.stem)
        if found is not None and found != photo:
            yield name, found


@dataclass(slots=True)
class _Progress:
    bar: Bar
    total: int
    done: int = 0

    def step(self) -> None:
        self.done += 1
        self.bar.show("evaluate", self.done, self.total)

    def tell(self, report: Report, failure: Failure) -> None:
        """At the terminal and in the report."""
        self.bar.end()
        sys.stderr.write(f"{failure.words}\n")
        report.fail(failure)


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be measured."""

    photos: Sequence[Photo]
    samplers: Sequence[str]
    per_photo: int
    seed: int
    limits: codec.ImageLimits

    def measure(self, fills: Mapping[str, Fill], networks: NetworkMetrics | None, report: Report) -> None:
        """Fills every pair with every engine into the report."""
        total = sum(self._count(photo) * (len(fills) + len(photo.results)) for photo in self.photos)
        progress = _Progress(Bar(sys.stderr), total)
        try:
            for photo in self.photos:
                try:
                    self._measure(photo, fills, networks, report, progress)
                except (ApiError, ModelError) as error:
                    progress.tell(report, Failure(photo.path.name, str(error)))
                except OSError as error:
                    progress.tell(report, Failure(photo.path.name, f"It cannot be read ({error.strerror})."))
        finally:
            progress.bar.end()

    def _measure(
        self,
        photo: Photo,
        fills: Mapping[str, Fill],
        networks: NetworkMetrics | None,
        report: Report,
        progress: _Progress,
    ) -> None:
        """Raises `ApiError`, `ModelError`, `OSError`."""
        finished = {name: codec.decode(path, self.limits).pixels for name, path in photo.results.items()}
        for pair in self._pairs(photo):
            report.begin(pair)
            for result in compare(pair, fills, networks, finished):
                progress.step()
                if isinstance(result, Failure):
                    progress.tell(report, result)
                else:
                    report.add(pair, *result)

    def _count(self, photo: Photo) -> int:
        return 1 if photo.mask else len(self.samplers) * self.per_photo

    def _pairs(self, photo: Photo) -> Iterator[Pair]:
        """Raises `ApiError`, `ModelError`, `OSError`."""
        image = codec.decode(photo.path, self.limits).pixels
        height, width = image.shape[:2]
        if photo.mask is not None:
            mask = masks.from_raster(photo.mask.read_bytes(), width, height, self.limits)
            hole = mask.hole_in(Box(0, 0, width, height))
            truth = None if photo.truth is None else codec.decode(photo.truth, self.limits).pixels
            yield Pair(photo.path.name, "given", image, hole, truth)
            return
        for sampler in self.samplers:
            for index in range(self.per_photo):
                # By name, so that photos of one size have different masks, and each its own in every set.
                own_seed = zlib.crc32(f"{self.seed} {index} {photo.path.name}".encode())
                hole = SAMPLERS[sampler](height, width, own_seed)
                yield Pair(photo.path.name, f"{sampler} {index + 1}", image, hole, image)


def _fills(given: argparse.Namespace, settings: Settings, limits: codec.ImageLimits) -> dict[str, Fill]:
    """Loaded engines by the words that named them, each having filled once. Raises `StartError`, `ModelError`."""
    home = settings.resolved_model_dir()
    wanted = []
    for text, name, words in given.engine or [engine("patchmatch")]:
        entry = get_model(name, "fill")
        common: dict[str, Any] = {
            option.name: option.from_text(words.pop(option.name)) for option in OPTIONS if option.name in words
        }
        params = entry.params_from_text(words, partial(open_picture, limits=limits))
        wanted.append((text, entry, replace(FillOptions(given.seed, params=params), **common)))
    fills: dict[str, Fill] = {}
    for text, entry, options in wanted:
        fetch(entry, home, offline=settings.local_files_only, out=sys.stderr)
        loaded = load_model(
            entry.name, device=settings.device, precision=settings.precision, model_dir=home, local_files_only=True
        )
        warm_up(loaded)
        fills[text] = partial(_filled, loaded, options)
    return fills


def _filled(inpainter: Inpainter, options: FillOptions, image: AnyImage, hole: HoleMask) -> AnyImage:
    return inpainter(image, hole, options)


def _networks(given: argparse.Namespace) -> NetworkMetrics | None:
    """Raises `StartError` for a file that is not there, `UnsafeWeights`."""
    paths = [path for path in (given.inception, given.lpips) if path is not None]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise StartError(ExitCode.FOLDER, f"There is no file {', '.join(missing)}.")
    if not paths:
        return None
    from inpaint_models.evaluation import networks

    return networks.load(given.inception, given.lpips)


def _notes(given: argparse.Namespace, report: Report, stopped: bool) -> list[str]:
    """What has to be known to read the figures."""
    pairs = len({row.pair for row in report.rows})
    notes = [
        f"{pairs} pairs of photo and mask, seed {given.seed}. In brackets: where the mean lies with 95 % confidence "
        "(bootstrap over the pairs). The engine does not see what is behind the mask."
    ]
    if all(row.kind == "given" for row in report.rows) and given.truth is None:
        notes.append("What is behind the masks is not known (--truth), so measures that need it are left out.")
    if given.lpips is None:
        notes.append("LPIPS was not measured: its network is not fetched by itself. Give vgg16.pt by --lpips.")
    if given.inception is None:
        notes.append("FID, U-IDS and P-IDS were not measured: give inception-2015-12-05.pt by --inception.")
    else:
        notes.append("FID falls with the number of pairs: compare it between engines of this report only.")
    if stopped:
        notes.append("The run was stopped before its end.")
    return notes + [f"Left out: {failure.words}" for failure in report.failures]


def engine(text: str) -> tuple[str, str, dict[str, str]]:
    """What --engine takes: (the text, the name, its parameters). Raises argparse's error."""
    name, *params = text.split(",")
    return text, name, dict(parameter(each) for each in params)


def count(text: str) -> int:
    """What --per-photo takes. Raises argparse's error."""
    return _whole(text, 1, 1000)


def seed(text: str) -> int:
    """What --seed takes. Raises argparse's error."""
    return _whole(text, 0, SEED_LIMIT - 1)


def _whole(text: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
    return int(text)
