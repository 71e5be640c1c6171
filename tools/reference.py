"""Writes what is made from the code: pages and tables of docs/, and the wire's types for the page.

`make docs` runs it. Speeds in the table of models are what `python -m bench.bench_models` last measured
(docs/measured.json).

A test holds that what is committed is what this would write.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import jinja2
from bench.bench_models import bench_name

from inpaint_models import list_models
from inpaint_models.registry import Strategy
from lama_server.app import create_app
from lama_server.cli.main import COMMANDS
from lama_server.cli.older import OPTIONS
from lama_server.cli.sources import CONFIG_VARIABLE
from lama_server.cli.terminal import size_text
from lama_server.exits import ExitCode
from lama_server.http.middleware.token import WRONG_TOKENS_PER_MINUTE
from lama_server.routes.documentation import reference
from lama_server.settings import Limits, Setting, Settings, table
from tools import hardening, house, wire_types

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLE = 'model = "lama"\nport = 9000\noutput-dir = "~/Pictures/cleaned"\nallow-host = ["photos.lan"]\n'
API_TEMPLATE = Path(__file__).with_name("api.md.jinja")
TABLE_BEGIN, TABLE_END = "<!-- made by `make docs`: begin -->", "<!-- made by `make docs`: end -->"
SOURCES_TEXT = f"""Every setting can be given as an option, as an environment variable or as a key in a file. An option
counts before a variable, a variable before the file, and the file before the default. All commands read all three;
`lama-server --show-settings` prints every setting and where it comes from. A wrong value is refused in the same words
wherever it stands, and so is a key that is no setting.

The file is that of `--config`, else that of `{CONFIG_VARIABLE}`, else `config.toml` in the platform's folder for
settings, where there is one: `~/.config/lama-server` on Linux, `~/Library/Application Support/lama-server` on macOS,
`%LOCALAPPDATA%\\lama-server` on Windows. It is TOML:

```toml
{EXAMPLE}```

- Switches: `--offline` and `--no-offline`; in a variable 1, true, yes or on, and 0, false, no or off.
- Lists: repeat the option, or separate the values by commas, as in a variable.
- Paths may begin with `~`. Relative ones in the file count from the file's folder.
- An empty variable counts as not set; an empty token is refused.
- Kubernetes gives containers beside a service named lama-server a variable `LAMA_SERVER_PORT` that is an address and no
  port; `enableServiceLinks: false` keeps it away.
- `lama-server inpaint` takes `--quality` from its command line only, because there it replaces the photo's own."""
TOKEN_TEXT = f"""The token or the file with it: giving both in one place is an error, and of two places the stronger
one counts. The token has 16 to 512 ASCII characters without spaces. The address that is printed at start holds a
token that `auto` made, never one that was given.

After {WRONG_TOKENS_PER_MINUTE} wrong tokens from one address (IPv6: one /64 network) within a minute every token from
there gets 429 `auth.rate_limited` with Retry-After, the right one too, so that a guess is not confirmed. Other
addresses are not slowed down. Behind a reverse proxy all clients have the proxy's address. Browsers that are signed in
go on: their cookie holds a random value that is good until the server stops."""

OLDER_TEXT = """\
Their options work as they are, as variables and in the file too. What has no use any more is accepted, and a line at
start says what replaces it. `start`, `run`, `download --model` and `list` are IOPaint's commands."""

NOTE = "<!-- Made from the code by `make docs`; change it there. -->"


def pages() -> dict[str, str]:
    """File name -> content of every page that is made from the code."""
    return {
        "configuration.md": configuration(),
        "api.md": api(),
        "models.md": _with_part("models.md", _models_table()),
        "architecture.md": _with_part("architecture.md", house.tree()),
        "hardening.md": hardening.page(NOTE),
    }


def _with_part(name: str, part: str) -> str:
    """The page as it is, with a fresh part between its marks."""
    before, rest = (DOCS / name).read_text(encoding="utf-8").split(TABLE_BEGIN)
    _, after = rest.split(TABLE_END)
    return f"{before}{TABLE_BEGIN}\n{part}\n{TABLE_END}{after}"


def _models_table() -> str:
    measured = json.loads((DOCS / "measured.json").read_text(encoding="utf-8"))
    head = ["Model", "What it is for", "Download", "Licence", "In memory", "Edit on a CPU", "Large images", "Results"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for entry in list_models("fill"):
        size = size_text(entry.download_bytes) if entry.weights else "nothing"
        cells = [
            f"`{entry.name}`",
            entry.tagline,
            size if entry.sizes_are_known else f"about {size}",
            entry.licence.name if entry.licence.commercial_use else f"{entry.licence.name}, not commercial",
            size_text(entry.memory_bytes) if entry.memory_bytes else "hardly any",
            _seconds(measured["edit_ms"].get(bench_name(entry))),
            _strategy(entry.strategy),
            "one for each seed" if entry.stochastic else "one",
        ]
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    lines += [
        "",
        f"*Edit on a CPU* is a hole of {measured['hole']:.0%} in {measured['size']} pixels, with the defaults, not the",
        f"first of a process: processor time in float32 on one thread of an {measured['processor']}, each",
        "model in a process of its own. *Large images* is what the strategy `auto` does; every model",
        "also takes `crop`, `resize` and `original`.",
    ]
    return "\n".join(lines)


def _strategy(strategy: Strategy) -> str:
    context = f"{strategy.context:g} times the hole" if strategy.context else f"{strategy.margin_px} px"
    when = f"over {strategy.crop_above} px" if strategy.crop_above else "always"
    return f"{strategy.kind} {when}, context {context}, at most {strategy.max_side} px"


def _seconds(ms: float | None) -> str:
    """`None` for a model that was added after the last measurement."""
    if ms is None:
        return "not measured"
    return f"{ms / 1000:.1f} s" if ms < 10_000 else f"{ms / 1000:.0f} s"


def configuration() -> str:
    """Settings, commands, exit codes, fixed limits."""
    lines = [NOTE, "", "# Configuration", "", SOURCES_TEXT, ""]
    head = ["Option", "Variable", "Key", "Default", "What it does"]
    for group, rows in itertools.groupby(table(), lambda setting: setting.option.group):
        lines += [f"## {group}", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
        for row in rows:
            cells = [_flags(row), f"`{row.variable}`", f"`{row.key}`", _default(row), _cell(row.option.help)]
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", TOKEN_TEXT, ""] if group == "Access" else [""]
    lines += ["## Coming from lama-cleaner or IOPaint", "", OLDER_TEXT, ""]
    lines += ["| Their option | Here |", "| --- | --- |"]
    by_name = {row.name: row for row in table()}
    for option in OPTIONS:
        row = by_name[option.setting]
        lines.append(f"| `{' '.join(option.words)}` | {_cell(row.option.help)} |")
    lines += [""]
    lines += ["## Commands", "", "| Command | What it does |", "| --- | --- |"]
    lines += [f"| `lama-server {name}` | {command.help} |" for name, command in COMMANDS.items()]
    lines += ["", "## Exit codes", "", "| Code | Meaning |", "| --- | --- |"]
    lines += [f"| {code.value} | {code.meaning} |" for code in ExitCode]
    lines += ["", "## Fixed limits", "", "| Limit | Value |", "| --- | --- |"]
    lines += [f"| `{name}` | {_value(name, getattr(Limits(), name))} |" for name in Limits.__dataclass_fields__]
    return "\n".join(lines) + "\n"


def _flags(setting: Setting) -> str:
    value = "\\|".join(setting.choices) or setting.option.metavar
    return ", ".join(f"`{flag} {value}`".replace(" `", "`") for flag in setting.flags)


def _default(setting: Setting) -> str:
    if setting.kind == "flag":
        return "on" if setting.default else "off"
    return "" if setting.default in (None, ()) else f"`{setting.default}`"


def _value(name: str, value: Any) -> str:
    if "bytes" in name:
        return size_text(value)
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:,}".replace(",", " ")


def api() -> str:
    """The wire: addresses, types, errors."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.filters["cell"] = _cell
    template = environment.from_string(API_TEMPLATE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        return template.render(note=NOTE, **reference(create_app(Settings(data_dir=Path(folder))).openapi()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    for name, content in pages().items():
        (DOCS / name).write_text(content, encoding="utf-8")
    return wire_types.main()


if __name__ == "__main__":
    sys.exit(main())
