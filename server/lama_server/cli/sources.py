"""Settings from the command line, the environment and a file: checked alike, and each knows where it came from.

A flag counts before a variable, a variable before the file, the file before the default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from ..exits import ExitCode, StartError
from ..settings import VARIABLE_PREFIX, Kind, Setting, Settings, table
from . import terminal

CONFIG_VARIABLE = f"{VARIABLE_PREFIX}CONFIG"

_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_IN_FILE: dict[Kind, tuple[Any, str]] = {
    "text": (str, "a text in quotes"),
    "path": (str, "a text in quotes"),
    "int": (int, "a whole number"),
    "flag": (bool, "true or false"),
    "list": (list, 'a list of texts such as ["a", "b"]'),
}
_TOKENS = {"token", "token_file"}


class Given(NamedTuple):
    """A value, and where it came from in words that fit before a colon and into "give ... another one"."""

    value: Any
    source: str


def read(
    flags: Mapping[str, Any],
    names: Collection[str],
    config: Path | None = None,
    environment: MutableMapping[str, str] = os.environ,
) -> Settings:
    """The settings of these names; all others have their defaults. Raises `StartError`.

    flags   name -> value of those that were on the command line
    config  what `config_file` found

    The token is taken out of the environment, which worker processes inherit.
    """
    rows = [row for row in table() if row.name in names]
    levels = (
        {row.name: Given(flags[row.name], row.flags[0]) for row in rows if row.name in flags},
        _variables(rows, environment),
        {} if config is None else _file(rows, config),
    )
    found: dict[str, Given] = {}
    for level in levels:
        # Either form of the token outdoes both forms of a weaker level. Two at one level stay, and are refused later.
        decided = found.keys() | (_TOKENS if _TOKENS & found.keys() else set())
        found |= {name: given for name, given in level.items() if name not in decided}
    sources = {name: given.source for name, given in found.items()}
    return Settings(**{name: given.value for name, given in found.items()}, sources=sources)


def config_file(chosen: Path | None) -> Path | None:
    """The file that was chosen, else that of the variable, else the user's own where there is one."""
    if chosen is not None:
        return chosen.expanduser()
    if variable := os.environ.get(CONFIG_VARIABLE):
        return Path(variable).expanduser()
    usual = usual_config_file()
    return usual if usual.is_file() else None


def usual_config_file() -> Path:
    """The file that is read without being asked for."""
    return platformdirs.user_config_path("lama-server", appauthor=False) / "config.toml"


def shown(settings: Settings, config: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """Every setting, its value unless it is a secret, and where it came from; variables that are no setting."""
    folders = {"data_dir": settings.resolved_data_dir(), "model_dir": settings.resolved_model_dir()}
    rows = []
    for row in table():
        value = folders.get(row.name, getattr(settings, row.name))
        rows.append((row.key, _words(row, value), settings.sources.get(row.name, "default")))
    known = {row.variable for row in table()} | {CONFIG_VARIABLE}
    unknown = sorted(name for name in environment if name.startswith(VARIABLE_PREFIX) and name not in known)
    text = terminal.table(("SETTING", "VALUE", "FROM"), rows)
    text += f"\nConfig file: {config or f'none; {usual_config_file()} would be read'}\n"
    return text + "".join(f"There is no setting of the variable {name}.\n" for name in unknown)


def parsed(setting: Setting, text: str) -> Any:
    """The value that a flag or a variable spells. Raises `ValueError` with the reason."""
    match setting.kind:
        case "int":
            return _checked(setting, _whole_number(text))
        case "flag":
            if text.lower() not in _SWITCHES:
                raise ValueError(f"{text!r} is not true or false")
            return _SWITCHES[text.lower()]
        case "list":
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case "path":
            return Path(text).expanduser()
        case "text":
            return _checked(setting, text)


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _checked(setting: Setting, value: Any) -> Any:
    low, high = setting.option.bounds or (value, value)
    if not low <= value <= high:
        raise ValueError(f"{value} is not from {low} to {high}")
    if setting.choices and value not in setting.choices:
        raise ValueError(f"{value!r} is not one of {', '.join(setting.choices)}")
    return value


def _variables(rows: Collection[Setting], environment: MutableMapping[str, str]) -> dict[str, Given]:
    """An empty variable counts as not set, but for the token: what was to be closed must not be open."""
    found = {}
    for row in rows:
        text = environment.pop(row.variable, None) if row.secret else environment.get(row.variable) or None
        if text is not None:
            found[row.name] = _given(row.variable, parsed, row, text)
    return found


def _file(rows: Collection[Setting], path: Path) -> dict[str, Given]:
    """Keys of other commands may be in the file as well. Relative paths count from its folder."""
    content = _toml(path)
    keys = [row.key for row in table()]
    for key in content:
        if key not in keys:
            import difflib

            (nearest,) = difflib.get_close_matches(key, keys, 1, cutoff=0)
            raise StartError(ExitCode.USAGE, f"{path}: there is no setting {key!r}; the nearest is {nearest!r}.")
    return {
        row.name: _given(f"{row.key} in {path}", _from_toml, row, content[row.key], path.parent)
        for row in rows
        if row.key in content
    }


def _given(source: str, read: Callable[..., Any], *spelled: Any) -> Given:
    """The value that `read` makes of what was given there."""
    try:
        return Given(read(*spelled), source)
    except ValueError as error:
        raise StartError(ExitCode.USAGE, f"{source}: {error}.") from None


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise StartError(
            ExitCode.FOLDER, f"The file {path} cannot be read ({error.strerror}): give --config another one."
        ) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise StartError(ExitCode.USAGE, f"{path} is not a TOML file: {error}.") from None


def _from_toml(row: Setting, value: Any, folder: Path) -> Any:
    kind, words = _IN_FILE[row.kind]
    # Not isinstance: true is no number.
    if type(value) is not kind or (row.kind == "list" and not all(isinstance(part, str) for part in value)):
        raise ValueError(f"it must be {words}" if row.secret else f"{value!r} is not {words}")
    if row.kind == "list":
        return tuple(value)
    return folder / Path(value).expanduser() if row.kind == "path" else _checked(row, value)


def _words(row: Setting, value: Any) -> str:
    if value in (None, ()):
        return "-"
    if row.secret:
        return "(not shown)"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)
