"""From the settings table to command line options and back."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ..settings import Setting, Settings, table


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line that says where help is, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def add_settings(
    parser: argparse.ArgumentParser, names: Iterable[str] | None = None, *, texts: Mapping[str, str] | None = None
) -> None:
    """Adds the options of the named settings, or of all.

    texts  setting -> help of a command to which it means something else; such an option is None unless it is given
    """
    texts = texts or {}
    wanted = None if names is None else frozenset(names)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for setting in table():
        if wanted is not None and setting.name not in wanted:
            continue
        group = setting.option.group
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        if setting.name in texts:
            option = dataclasses.replace(setting.option, help=texts[setting.name])
            setting = dataclasses.replace(setting, option=option, default=None)
        _add(groups[group], setting)


def _add(group: argparse._ArgumentGroup, setting: Setting) -> None:
    option, kind, default = setting.option, setting.kind, setting.default
    text = option.help.replace("%", "%%")
    if kind == "flag":
        group.add_argument(*setting.flags, dest=setting.name, action="store_true", help=text)
        return
    if default not in (None, ()):
        text += f" Default: {default}."
    common: dict[str, Any] = {"dest": setting.name, "help": text}
    if kind == "list":
        group.add_argument(*setting.flags, action="append", default=[], metavar=option.metavar, **common)
    elif setting.choices:
        group.add_argument(*setting.flags, choices=setting.choices, default=default, **common)
    else:
        group.add_argument(*setting.flags, type=_converter(setting), default=default, metavar=option.metavar, **common)


def _converter(setting: Setting) -> Any:
    if setting.option.bounds is not None:
        return functools.partial(_whole_number, bounds=setting.option.bounds)
    return Path if setting.kind == "path" else str


def _whole_number(text: str, bounds: tuple[int, int]) -> int:
    low, high = bounds
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{value} is not from {low} to {high}")
    return value


def read_settings(namespace: argparse.Namespace) -> Settings:
    """The settings that were given, defaults for the rest. Paths lose their ~."""
    values: dict[str, Any] = {}
    for setting in table():
        value = getattr(namespace, setting.name, None)
        if value is None:
            value = setting.default
        if setting.kind == "list":
            value = tuple(value)
        elif setting.kind == "path" and value is not None:
            value = value.expanduser()
        values[setting.name] = value
    return Settings(**values)
