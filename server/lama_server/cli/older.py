"""The command line of lama-cleaner and IOPaint: which of our settings each option is, and IOPaint's `run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import inpaint
from .options import Parser


@dataclass(frozen=True, slots=True)
class OlderOption:
    """An option as people have it in their scripts.

    words    with a value, as on a command line
    setting  that it sets here
    """

    words: tuple[str, ...]
    setting: str


OPTIONS = tuple(
    OlderOption(tuple(line.split()), setting)
    for line, setting in (
        ("--host 0.0.0.0", "host"),
        ("--port 8090", "port"),
        ("--model sd1.5", "model"),
        ("--device cpu", "device"),
        ("--no-half", "half"),
        ("--low-mem", "cpu_offload"),
        ("--cpu-offload", "cpu_offload"),
        ("--sd-cpu-textencoder", "sd_cpu_textencoder"),
        ("--cpu-textencoder", "sd_cpu_textencoder"),
        ("--disable-nsfw", "disable_nsfw"),
        ("--disable-nsfw-checker", "disable_nsfw"),
        ("--enable-xformers", "enable_xformers"),
        ("--local-files-only", "local_files_only"),
        ("--inbrowser", "inbrowser"),
        ("--gui", "gui"),
        ("--gui-size 1600 1000", "gui_size"),
        ("--no-gui-auto-close", "gui_auto_close"),
        ("--input photo.jpg", "input"),
        ("--output-dir out", "output_dir"),
        ("--model-dir models", "model_dir"),
        ("--disable-model-switch", "disable_model_switch"),
        ("--quality 90", "quality"),
        ("--config-installer", "config_installer"),
        ("--load-installer-config", "load_installer_config"),
        ("--installer-config installer.json", "installer_config"),
    )
)


def run(arguments: Sequence[str]) -> int:
    """`iopaint run`: photos and masks by options, results into a folder under their own names. Raises `StartError`."""
    parser = Parser(
        prog="lama-server run",
        description="Fill photos, with the options of iopaint run. All others are those of lama-server inpaint.",
        allow_abbrev=False,
    )
    for name, text in (("image", "photo or folder"), ("mask", "mask or folder"), ("output", "folder for results")):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH", help=text)
    given, rest = parser.parse_known_args(arguments)
    output: Path = given.output
    if given.image.is_file():
        output.mkdir(parents=True, exist_ok=True)
        output = output / given.image.name
    return inpaint.run([str(given.image), str(given.mask), "--output", str(output), *rest])
