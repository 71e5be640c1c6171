"""Every knob of the server in one frozen table: command line, documentation and /api/v1/config are made from it.

A field's metadata says how it looks on the command line; the field's annotation says what the code gets. A test holds
that no field is without its `Option` and that docs/configuration.md lists every one.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

Precision = Literal["auto", "float32", "bfloat16", "float16"]
LogLevel = Literal["debug", "info", "warning", "error"]

Kind = Literal["text", "int", "float", "flag", "path", "list"]


@dataclass(frozen=True, slots=True)
class Option:
    """How one setting looks from outside.

    flags    command line spellings, the documented one first
    metavar  what stands for the value in help
    public   whether /api/v1/config shows the value (never for paths and secrets)
    """

    flags: tuple[str, ...]
    kind: Kind
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    public: bool = False
    group: str = "Server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server's settings. Memory and disk sizes are in MiB, image sizes in megapixels."""

    model: str = field(
        default="auto",
        metadata={
            "option": Option(
                ("--model",),
                "text",
                "Model that the page starts with. auto: the best one that is ready without a download.",
                "NAME",
                public=True,
                group="Model",
            )
        },
    )
    device: str = field(
        default="auto",
        metadata={
            "option": Option(
                ("--device",),
                "text",
                "Where networks run: auto (a GPU when there is one), cpu, cuda, cuda:1, mps; or several, as in "
                "cuda:0,cuda:1, with a worker process for each.",
                "DEVICE",
                public=True,
                group="Model",
            )
        },
    )
    workers: int = field(
        default=1,
        metadata={
            "option": Option(
                ("--workers",),
                "int",
                "Worker processes for each device: so many fills run at once. They share the processors and the "
                "memory budget.",
                "N",
                minimum=1,
                maximum=64,
                public=True,
                group="Model",
            )
        },
    )
    precision: Precision = field(
        default="auto",
        metadata={
            "option": Option(
                ("--precision",),
                "text",
                "Numbers that networks compute with. auto: what this processor does well.",
                choices=("auto", "float32", "bfloat16", "float16"),
                public=True,
                group="Model",
            )
        },
    )
    model_dir: Path | None = field(
        default=None,
        metadata={
            "option": Option(
                ("--model-dir",),
                "path",
                "Folder for weights. Default: the platform's cache folder.",
                "DIR",
                group="Model",
            )
        },
    )
    local_files_only: bool = field(
        default=False,
        metadata={
            "option": Option(
                ("--local-files-only", "--offline"),
                "flag",
                "Never open a connection: use only weights that are on this machine.",
                public=True,
                group="Model",
            )
        },
    )
    memory_budget: int = field(
        default=4096,
        metadata={
            "option": Option(
                ("--memory-budget",),
                "int",
                "MiB that the models loaded on a device may take together; the least recently used one is dropped "
                "first.",
                "MIB",
                minimum=64,
                maximum=1_048_576,
                public=True,
                group="Model",
            )
        },
    )
    host: str = field(
        default="127.0.0.1",
        metadata={
            "option": Option(
                ("--host",), "text", "Address to listen on. Anything but loopback needs a token.", "ADDRESS"
            )
        },
    )
    port: int = field(
        default=8080,
        metadata={
            "option": Option(
                ("--port",), "int", "Port to listen on; 0 takes a free one.", "PORT", minimum=0, maximum=65535
            )
        },
    )
    inbrowser: bool = field(
        default=False,
        metadata={"option": Option(("--inbrowser",), "flag", "Open the page in the browser once it is up.")},
    )
    log_level: LogLevel = field(
        default="info",
        metadata={
            "option": Option(
                ("--log-level",), "text", "How much is logged.", choices=("debug", "info", "warning", "error")
            )
        },
    )
    token: str | None = field(
        default=None,
        metadata={
            "option": Option(
                ("--token",),
                "text",
                "Require this token. auto makes one and prints it once.",
                "VALUE",
                group="Access",
            )
        },
    )
    insecure_no_auth: bool = field(
        default=False,
        metadata={
            "option": Option(
                ("--insecure-no-auth",),
                "flag",
                "Listen beyond loopback without a token. Everybody on the network can then use the server.",
                group="Access",
            )
        },
    )
    allow_host: tuple[str, ...] = field(
        default=(),
        metadata={
            "option": Option(
                ("--allow-host",),
                "list",
                "Further host name under which the server may be reached. May be repeated.",
                "NAME",
                group="Access",
            )
        },
    )
    cors_origin: tuple[str, ...] = field(
        default=(),
        metadata={
            "option": Option(
                ("--cors-origin",),
                "list",
                "Origin, such as https://example.org, whose pages may call the API. May be repeated.",
                "ORIGIN",
                group="Access",
            )
        },
    )
    input: Path | None = field(
        default=None,
        metadata={"option": Option(("--input",), "path", "Photo that the page opens at start.", "FILE", group="Files")},
    )
    output_dir: Path | None = field(
        default=None,
        metadata={
            "option": Option(
                ("--output-dir",),
                "path",
                "Folder into which every finished result is saved. Existing files are never replaced.",
                "DIR",
                group="Files",
            )
        },
    )
    quality: int = field(
        default=95,
        metadata={
            "option": Option(
                ("--quality",),
                "int",
                "JPEG and WebP quality where the original's own cannot be kept.",
                "1-100",
                minimum=1,
                maximum=100,
                public=True,
                group="Files",
            )
        },
    )
    strip_metadata: bool = field(
        default=False,
        metadata={
            "option": Option(
                ("--strip-metadata",),
                "flag",
                "Leave EXIF, XMP and text out of results. Colour profile and resolution stay.",
                public=True,
                group="Files",
            )
        },
    )
    max_megapixels: int = field(
        default=128,
        metadata={
            "option": Option(
                ("--max-megapixels",),
                "int",
                "Largest photo that is accepted. Decoding takes about 10 bytes of memory per pixel.",
                "MP",
                minimum=1,
                maximum=1000,
                public=True,
                group="Files",
            )
        },
    )
    data_dir: Path | None = field(
        default=None,
        metadata={
            "option": Option(
                ("--data-dir",),
                "path",
                "Folder for opened photos and edits, which survive a restart. Default: the platform's cache folder.",
                "DIR",
                group="Files",
            )
        },
    )
    data_cap: int = field(
        default=4096,
        metadata={
            "option": Option(
                ("--data-cap",),
                "int",
                "MiB that opened photos and edits may take on disk; the least recently used go first.",
                "MIB",
                minimum=64,
                maximum=1_048_576,
                public=True,
                group="Files",
            )
        },
    )

    def resolved_data_dir(self) -> Path:
        """The folder for images and edits; not made here."""
        return self.data_dir or default_cache_dir() / "documents"

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that --device names."""
        return tuple(name.strip() for name in self.device.split(","))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server. Names other than localhost count as the network, unasked."""
        host = self.host.strip("[]").lower()
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Limits:
    """Fixed bounds on what a request may ask for. Sizes in bytes, times in seconds."""

    upload_bytes: int = 256 * 2**20
    one_shot_bytes: int = 384 * 2**20
    json_bytes: int = 16 * 2**20
    mask_bytes: int = 64 * 2**20
    text_field_bytes: int = 64 * 2**10
    json_depth: int = 8
    header_count: int = 100
    header_bytes: int = 16 * 2**10
    target_bytes: int = 8 * 2**10
    header_deadline_s: float = 5.0
    body_idle_s: float = 5.0
    body_grace_s: float = 60.0
    body_bytes_per_s: int = 32 * 2**10
    keep_alive_s: int = 5
    connections: int = 256
    queue_waiting: int = 8
    uploads_waiting: int = 32
    queue_wait_s: float = 300.0
    cancel_grace_s: float = 10.0
    backoff_s: tuple[float, ...] = (0.0, 1.0, 5.0, 30.0)
    codec_deadline_s: float = 120.0
    fill_deadline_s: float = 180.0
    network_deadline_s: float = 900.0
    drain_s: int = 20
    runs: int = 16
    parents: int = 1000
    shapes: int = 2000
    name_chars: int = 120


def options() -> tuple[tuple[str, Option, Any], ...]:
    """(field name, option, default) of every setting, in the order of the table."""
    return tuple((f.name, cast(Option, f.metadata["option"]), f.default) for f in dataclasses.fields(Settings))


def public_settings(settings: Settings) -> dict[str, Any]:
    """What /api/v1/config may show: no path, no address, no secret."""
    return {name: getattr(settings, name) for name, option, _ in options() if option.public}


def default_cache_dir(environment: Callable[[str], str | None] = os.environ.get) -> Path:
    """The platform's per-user cache folder of this application."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "lama-server"
    if sys.platform == "win32":
        return Path(environment("LOCALAPPDATA") or home / "AppData" / "Local") / "lama-server" / "Cache"
    return Path(environment("XDG_CACHE_HOME") or home / ".cache") / "lama-server"
