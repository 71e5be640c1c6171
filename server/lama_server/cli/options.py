"""From the settings table to command line options and back."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ..settings import Option, Settings, options


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
    for name, option, default in options():
        if wanted is not None and name not in wanted:
            continue
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        if name in texts:
            option, default = dataclasses.replace(option, help=texts[name]), None
        _add(groups[option.group], name, option, default)


def _add(group: argparse._ArgumentGroup, name: str, option: Option, default: Any) -> None:
    text = option.help.replace("%", "%%")
    if option.kind == "flag":
        group.add_argument(*option.flags, dest=name, action="store_true", help=text)
        return
    if default not in (None, ()):
        text += f" Default: {default}."
    if option.kind == "list":
        group.add_argument(*option.flags, dest=name, action="append", default=[], metavar=option.metavar, help=text)
    elif option.choices:
        group.add_argument(*option.flags, dest=name, choices=option.choices, default=default, help=text)
    else:
        group.add_argument(
            *option.flags, dest=name, type=_converter(option), default=default, metavar=option.metavar, help=text
        )


def _converter(option: Option) -> Any:
    if option.kind == "int":
        return lambda text: _whole_number(text, option)
    return Path if option.kind == "path" else str


def _whole_number(text: str, option: Option) -> int:
    low, high = option.minimum, option.maximum
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if (low is not None and value < low) or (high is not None and value > high):
        raise argparse.ArgumentTypeError(f"{value} is not from {low:.0f} to {high:.0f}")
    return value


def read_settings(namespace: argparse.Namespace) -> Settings:
    """The settings that were given, defaults for the rest. Paths lose their ~."""
    values: dict[str, Any] = {}
    for name, option, default in options():
        value = getattr(namespace, name, None)
        if value is None:
            value = default
        if option.kind == "list":
            value = tuple(value)
        elif option.kind == "path" and value is not None:
            value = value.expanduser()
        values[name] = value
    return Settings(**values)
