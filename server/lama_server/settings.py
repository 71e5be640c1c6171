"""Every knob of the server in one frozen table: command line, variables, file, documentation and /api/v1/config.

A field's `Option` says how it looks from outside; its names, kind, choices and default follow from the field itself.
Tests hold that no field is without one and that docs/configuration.md lists every one.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from inpaint_models.folders import default_cache_dir, default_model_dir

if TYPE_CHECKING:
    from inpaint_models.registry import Placement

Precision = Literal["auto", "float32", "bfloat16", "float16"]
LogLevel = Literal["debug", "info", "warning", "error"]

Kind = Literal["text", "int", "flag", "path", "list"]

VARIABLE_PREFIX = "LAMA_SERVER_"


@dataclass(frozen=True, slots=True)
class Option:
    """What a setting's annotation adds to its name, type and default.

    metavar  what stands for the value in help
    bounds   least and greatest value
    words    whether a command line may spell the value in several words: they are joined by commas
    replaced whether it is one of older programs that does nothing here, which is told where somebody gives it
    also     further spellings of the flag
    public   whether /api/v1/config shows the value (never for paths and secrets)
    """

    help: str
    metavar: str = ""
    group: str = "Server"
    bounds: tuple[int, int] | None = None
    also: tuple[str, ...] = ()
    public: bool = False
    words: bool = False
    replaced: bool = False


_model, _access, _files, _older = (
    functools.partial(Option, group=group) for group in ("Model", "Access", "Files", "Older programs")
)
_INSTALLER = _older(
    "Without effect: settings are kept in a file instead, see --config, and --show-settings for what is set.",
    "FILE",
    replaced=True,
)
"""Of IOPaint's installer."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: a field of `Settings` and everything that follows from it.

    secret  its value is never shown
    """

    name: str
    kind: Kind
    choices: tuple[str, ...]
    default: Any
    secret: bool
    option: Option

    @property
    def key(self) -> str:
        """Its name in the file, and that of its flag without the dashes."""
        return self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """Command line spellings, the documented one first."""
        return (f"--{self.key}", *self.option.also)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return VARIABLE_PREFIX + self.name.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server's settings. Memory and disk sizes are in MiB, image sizes in megapixels.

    sources  where each value that is no default came from, such as "LAMA_SERVER_PORT"
    """

    model: Annotated[
        str,
        _model(
            "Model that the page starts with. auto: the best network that is on this machine; where there is none, "
            "patchmatch at once, and migan as soon as its 28 MiB are fetched. A diffusion model also by its folder, "
            "by its .safetensors file, or by its repository on Hugging Face as owner/name.",
            "NAME",
            public=True,
        ),
    ] = "auto"
    device: Annotated[
        str,
        _model(
            "Where networks run: auto (a GPU when there is one), cpu, cuda, cuda:1, mps; or several, as in "
            "cuda:0,cuda:1, with a worker process for each.",
            "DEVICE",
            public=True,
        ),
    ] = "auto"
    workers: Annotated[
        int,
        _model(
            "Worker processes for each device: so many fills run at once. They share the processors and the memory "
            "budget.",
            "N",
            bounds=(1, 64),
            public=True,
        ),
    ] = 1
    precision: Annotated[
        Precision, _model("Numbers that networks compute with. auto: what this processor does well.", public=True)
    ] = "auto"
    half: Annotated[
        bool, _model("With --no-half networks compute in full precision wherever they run: --precision float32.")
    ] = True
    cpu_offload: Annotated[
        bool,
        _model(
            "Keep a diffusion model in the machine's memory and bring its parts to the GPU when it is their turn: "
            "network by network, in groups of blocks or layer by layer, by what is free.",
            also=("--low-mem",),
            public=True,
        ),
    ] = False
    sd_cpu_textencoder: Annotated[
        bool,
        _model(
            "Let diffusion models read words on the processor, which leaves more of the GPU's memory.",
            also=("--cpu-textencoder",),
        ),
    ] = False
    disable_model_switch: Annotated[
        bool, _model("Fill with --model only: page and API offer no other.", public=True)
    ] = False
    model_dir: Annotated[Path | None, _model("Folder for weights. Default: the platform's cache folder.", "DIR")] = None
    local_files_only: Annotated[
        bool,
        _model("Never open a connection: use only weights that are on this machine.", also=("--offline",), public=True),
    ] = False
    quick_look: Annotated[
        bool,
        _model(
            "While a slow model works, show what migan makes of the same hole, where its weights are on this machine. "
            "It is then loaded beside other networks.",
            public=True,
        ),
    ] = True
    memory_budget: Annotated[
        int,
        _model(
            "MiB that loaded models may take on each device; the least recently used one is dropped first.",
            "MIB",
            bounds=(64, 1_048_576),
            public=True,
        ),
    ] = 4096

    host: Annotated[str, Option("Address to listen on. Anything but loopback needs a token.", "ADDRESS")] = "127.0.0.1"
    port: Annotated[int, Option("Port to listen on; 0 takes a free one.", "PORT", bounds=(0, 65535))] = 8080
    inbrowser: Annotated[bool, Option("Open the page in the browser once it is up.")] = False
    gui: Annotated[
        bool, Option("Open the page in a window of its own: by Chrome, Chromium, Edge or Brave, else by pywebview.")
    ] = False
    gui_size: Annotated[str, Option("Width and height of that window.", "WIDTH HEIGHT", words=True)] = "1200,1000"
    gui_auto_close: Annotated[bool, Option("End the server with that window; --no-gui-auto-close lets it run on.")] = (
        True
    )
    log_level: Annotated[LogLevel, Option("How much is logged.")] = "info"

    token: Annotated[
        str | None,
        _access(
            "Require this token of at least 16 characters. auto makes one and prints it once. Other users of this "
            "computer see a VALUE in the list of processes; a file or the variable LAMA_SERVER_TOKEN hides it.",
            "VALUE",
        ),
    ] = field(default=None, repr=False)
    token_file: Annotated[
        Path | None,
        _access("Require the token in this file, which nobody else should be able to read (chmod 600).", "FILE"),
    ] = None
    insecure_no_auth: Annotated[
        bool, _access("Listen beyond loopback without a token. Everybody on the network can then use the server.")
    ] = False
    allow_host: Annotated[
        tuple[str, ...], _access("Further host name under which the server may be reached. May be repeated.", "NAME")
    ] = ()
    cors_origin: Annotated[
        tuple[str, ...],
        _access("Origin, such as https://example.org, whose pages may call the API. May be repeated.", "ORIGIN"),
    ] = ()

    input: Annotated[
        Path | None,
        _files(
            "Photo that the page opens at start; or a folder, whose photos the page, and clients of IOPaint, list.",
            "PATH",
        ),
    ] = None
    output_dir: Annotated[
        Path | None,
        _files("Folder into which every finished result is saved. Existing files are never replaced.", "DIR"),
    ] = None
    quality: Annotated[
        int,
        _files("JPEG and WebP quality where the original's own cannot be kept.", "1-100", bounds=(1, 100), public=True),
    ] = 95
    strip_metadata: Annotated[
        bool, _files("Leave EXIF, XMP and text out of results. Colour profile and resolution stay.", public=True)
    ] = False
    max_megapixels: Annotated[
        int,
        _files(
            "Largest photo that is accepted. Reading and writing take 6 to 50 bytes of memory a pixel, by the format.",
            "MP",
            bounds=(1, 1000),
            public=True,
        ),
    ] = 128
    data_dir: Annotated[
        Path | None,
        _files(
            "Folder for opened photos and edits, which survive a restart. Default: the platform's cache folder.", "DIR"
        ),
    ] = None
    store: Annotated[
        str | None,
        _files(
            "Bucket of an S3-compatible object store that several servers share, as s3://BUCKET/PREFIX. Opened photos "
            "and edits are kept there, and --data-dir is a cache of it. Endpoint, region and keys are those of the "
            "variables AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Needs the extra "
            "cluster.",
            "ADDRESS",
        ),
    ] = None
    data_cap: Annotated[
        int,
        _files(
            "MiB that opened photos and edits may take on disk, with uploads on their way and decoded pixels, 3 to 8 "
            "bytes each. The least recently used go first; what still does not fit is refused.",
            "MIB",
            bounds=(64, 1_048_576),
            public=True,
        ),
    ] = 4096

    min_free: Annotated[
        int,
        _files(
            "MiB that are left free on the disks of --data-dir and --output-dir: what would take of them is refused.",
            "MIB",
            bounds=(0, 1_048_576),
            public=True,
        ),
    ] = 200

    disable_nsfw: Annotated[
        bool,
        _older(
            "Without effect: no result is ever blackened, the safety checker of diffusion models is not loaded.",
            also=("--disable-nsfw-checker",),
            replaced=True,
        ),
    ] = False
    enable_xformers: Annotated[
        bool, _older("Without effect: torch's own attention is used, which needs no more memory.", replaced=True)
    ] = False
    config_installer: Annotated[bool, _INSTALLER] = False
    load_installer_config: Annotated[bool, _INSTALLER] = False
    installer_config: Annotated[Path | None, _INSTALLER] = None

    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def named(self, name: str) -> str:
        """A setting as whoever gave it spelled it, for messages; its flag for a default."""
        return self.sources.get(name, f"--{name.replace('_', '-')}")

    @property
    def replaced(self) -> tuple[str, ...]:
        """A line for each option of older programs that was given and does nothing here."""
        given = [row for row in table() if row.option.replaced and row.name in self.sources]
        return tuple(f"{self.named(row.name)}: {row.option.help}" for row in given)

    @property
    def resolved_precision(self) -> Precision:
        """That of networks, with --no-half."""
        return self.precision if self.half else "float32"

    @property
    def placement(self) -> Placement:
        """How large models are spread."""
        from inpaint_models.registry import Placement  # with numpy: --help must not wait for it

        return Placement(self.cpu_offload, self.sd_cpu_textencoder)

    def resolved_data_dir(self) -> Path:
        """The folder for images and edits; not made here."""
        return self.data_dir or default_cache_dir() / "documents"

    def resolved_model_dir(self) -> Path:
        """The folder for weights; not made here."""
        return self.model_dir or default_model_dir()

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
    message_bytes: int = 16 * 2**10
    text_field_bytes: int = 64 * 2**10
    json_depth: int = 8
    header_count: int = 100
    header_bytes: int = 16 * 2**10
    target_bytes: int = 8 * 2**10
    header_deadline_s: float = 5.0
    body_idle_s: float = 5.0
    body_grace_s: float = 60.0
    body_bytes_per_s: int = 32 * 2**10
    answer_idle_s: float = 10.0
    keep_alive_s: int = 5
    connections: int = 256
    queue_waiting: int = 8
    uploads_waiting: int = 32
    queue_wait_s: float = 300.0
    cancel_grace_s: float = 10.0
    backoff_s: tuple[float, ...] = (0.0, 1.0, 5.0, 30.0)
    codec_deadline_s: float = 120.0
    store_deadline_s: float = 60.0
    store_retry_s: float = 20.0
    fill_deadline_s: float = 180.0
    network_deadline_s: float = 900.0
    drain_s: int = 20
    runs: int = 16
    parents: int = 1000
    shapes: int = 2000
    bitmap_photos: int = 8
    outline_rows: int = 64_000_000
    name_chars: int = 120


@functools.cache
def table() -> tuple[Setting, ...]:
    """Every setting, in the order of the fields."""
    hints = get_type_hints(Settings, include_extras=True)
    return tuple(_setting(f, hints[f.name]) for f in dataclasses.fields(Settings) if f.name != "sources")


def _setting(field: dataclasses.Field[Any], hint: Any) -> Setting:
    annotation, option = get_args(hint)
    origin, (plain, *_) = get_origin(annotation), get_args(annotation) or (annotation,)
    kinds: dict[Any, Kind] = {str: "text", int: "int", bool: "flag", Path: "path"}
    kind: Kind = "list" if origin is tuple else "text" if origin is Literal else kinds[plain]
    choices = get_args(annotation) if origin is Literal else ()
    return Setting(field.name, kind, choices, field.default, secret=not field.repr, option=option)


def public_settings(settings: Settings) -> dict[str, Any]:
    """What /api/v1/config may show: no path, no address, no secret."""
    return {row.name: getattr(settings, row.name) for row in table() if row.option.public}
