"""`lama-server`: checks what it was given, takes the port, starts the application, says where it is."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import secrets
import shutil
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from .. import __version__
from ..exits import ExitCode, StartError
from ..settings import Limits, Settings
from . import gui, sources
from .main import COMMANDS, PROGRAM
from .options import Parser, add_settings, read_settings
from .terminal import size_text


def parser() -> Parser:
    """Every option of the server."""
    commands = "\n".join(f"  {name:10} {command.help}" for name, command in COMMANDS.items())
    made = Parser(
        prog=PROGRAM,
        description="Remove things from photos: opens a page on which you brush over what should go.",
        epilog=f"commands, each with its own --help:\n{commands}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    made.add_argument("--show-settings", action="store_true", help="print every setting and where it is from, and end")
    add_settings(made)
    return made


def run(arguments: Sequence[str]) -> int:
    """Serves until a signal comes. Raises `StartError`."""
    given = parser().parse_args(arguments)
    settings = read_settings(given)
    if given.show_settings:
        sys.stdout.write(sources.shown(settings, sources.config_file(given.config)))
        return ExitCode.OK
    for line in settings.replaced:
        sys.stderr.write(f"{line}\n")
    gc.disable()  # until it serves: what is imported stays, and looking through it again and again takes long
    try:
        _start(settings)
    finally:
        gc.enable()
    return ExitCode.OK


def _start(settings: Settings) -> None:
    from ..http.access import with_token  # imported late: --help must not wait for the web framework
    from ..http.server import listen

    settings = with_token(settings)
    token_is_made = settings.token == "auto"
    if token_is_made:
        settings = dataclasses.replace(settings, token=secrets.token_urlsafe(32))
    check(settings)
    bound = listen(settings.host, settings.port)
    settings = dataclasses.replace(settings, port=bound.getsockname()[1])
    with bound:
        _serve(settings, bound, print_token=token_is_made)


def check(settings: Settings) -> None:
    """Everything that can be wrong with the settings, in words. Raises `StartError`."""
    check_model(settings)
    check_devices(settings)
    check_access(settings)
    if settings.input is not None:
        check_input(settings.input, settings.named("input"))
    if settings.output_dir is not None:
        check_folder(settings.output_dir, settings.named("output_dir"), min_free_mib=settings.min_free)
    if settings.store is not None:
        check_store(settings.store, settings.named("store"))
    if settings.gui:
        gui.window_size(settings)
    data_dir = settings.resolved_data_dir()
    check_folder(data_dir, settings.named("data_dir"), min_free_mib=settings.min_free, parents=True)


def check_store(address: str, source: str) -> None:
    """Raises `StartError` for an address that is none. One that cannot be reached yet is told by /readyz."""
    from ..store.keepers import check_address

    try:
        check_address(address)
    except ValueError as error:
        raise StartError(ExitCode.USAGE, f"{source}: {error}") from None
    except ImportError:
        raise StartError(ExitCode.USAGE, f"{source} needs pip install 'lama-server[cluster]'.") from None


def check_input(path: Path, source: str) -> None:
    """Raises `StartError` unless it is a file, or a folder that can be read."""
    if not path.is_file():
        try:
            os.scandir(path).close()
        except OSError as error:
            raise StartError(
                ExitCode.FOLDER,
                f"{path} cannot be read ({error.strerror}): give {source} a photo or a folder of photos.",
            ) from None


def check_model(settings: Settings) -> None:
    """What a repository holds is asked for where it is not known.

    Raises `StartError` when there is no such model, or it does not fill.
    """
    if settings.model == "auto":
        return
    from inpaint_models.catalog import get_model
    from inpaint_models.errors import ModelError, UnknownModel, WrongTask

    from .models import exit_code

    offline, home = settings.local_files_only, settings.resolved_model_dir()
    try:
        get_model(settings.model, "fill", home, local_files_only=offline)
    except ModelError as error:
        code = ExitCode.USAGE if isinstance(error, UnknownModel | WrongTask) else exit_code(error)
        raise StartError(code, f"{settings.named('model')}: {error}") from None


def check_devices(settings: Settings) -> None:
    """Raises `StartError` unless each device is there, and named once.

    A process of its own asks torch for a GPU, which takes seconds and memory that this one does without.
    """
    from inpaint_models import devices
    from inpaint_models.errors import Unavailable

    names = settings.devices
    try:
        for name in names:
            devices.check_name(name)
        if len(set(names)) < len(names):
            raise Unavailable("A device is named twice. For several worker processes on one use --workers.")
        if gpus := [name for name in names if name not in ("auto", "cpu")]:
            import multiprocessing
            from concurrent.futures import ProcessPoolExecutor

            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                list(pool.map(devices.choose_device, gpus))
    except Unavailable as error:
        raise StartError(ExitCode.USAGE, f"{settings.named('device')}: {error}") from None


def check_access(settings: Settings) -> None:
    """Raises `StartError` when the server would be open to the network, or an origin is none."""
    from ..http.access import access_policy

    access_policy(settings, Limits())


def check_folder(folder: Path, source: str, *, min_free_mib: int = 0, parents: bool = False) -> None:
    """Makes the folder when it is missing. Raises `StartError` unless files can be written into it.

    source        the option that named it, for the message
    min_free_mib  what is to stay free on its disk
    parents       make the folders above it as well; otherwise a missing one is taken for a typing error
    """
    try:
        folder.mkdir(parents=parents, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileNotFoundError:
        raise StartError(
            ExitCode.FOLDER, f"There is no folder {folder.parent}: make it, or give {source} another one."
        ) from None
    except FileExistsError:
        raise StartError(ExitCode.FOLDER, f"{folder} is a file: give {source} a folder.") from None
    except OSError as error:
        raise StartError(
            ExitCode.FOLDER, f"The folder {folder} cannot be written ({error.strerror}): give {source} another one."
        ) from None
    if shutil.disk_usage(folder).free < min_free_mib << 20:
        raise StartError(
            ExitCode.DISK_FULL,
            f"The disk of {folder} has less than {min_free_mib} MiB left: free some space, or lower --min-free.",
        )


def _serve(settings: Settings, bound: socket.socket, *, print_token: bool) -> None:
    from ..app import create_app
    from ..http.server import serve
    from . import logs

    logs.configure(settings.log_level)
    limits = Limits()
    app = create_app(settings, limits=limits)
    address = page_address(settings)
    shown = address if print_token else address.partition("#")[0]

    def announce() -> None:
        gc.enable()
        sys.stdout.write(f"lama-server {__version__} is at {shown}\n{memory_limit(settings)}\n")
        sys.stdout.flush()
        if settings.gui:
            gui.open_window(address, settings)
        elif settings.inbrowser and _has_display():
            webbrowser.open(address)

    serve(app, bound, limits=limits, on_ready=announce)


def memory_limit(settings: Settings) -> str:
    """What photos may take, in words."""
    from ..codec.info import PEAK_BYTES_PER_PIXEL

    pixels = settings.max_megapixels * 1_000_000
    return (
        f"One photo is read or written at a time, of up to {settings.max_megapixels} megapixels and in up to "
        f"{size_text(PEAK_BYTES_PER_PIXEL * pixels)} of memory (--max-megapixels)."
    )


def page_address(settings: Settings) -> str:
    """Where the page is; the token stands behind a #, which is neither sent nor logged."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "localhost") else settings.host.strip("[]")
    host = "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
    address = f"http://{host}:{settings.port}/"
    return f"{address}#token={quote(settings.token, safe='')}" if settings.token else address


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
