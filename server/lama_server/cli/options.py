"""From the settings table to command line options, and from a command line to settings."""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ..settings import Setting, Settings, table
from . import sources

CONFIG_HELP = "File with settings, such as port = 9000. Default: config.toml in the platform's folder for settings."


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line that says where help is, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def add_settings(
    parser: argparse.ArgumentParser, names: Collection[str] | None = None, *, texts: Mapping[str, str] | None = None
) -> None:
    """Adds --config and the options of the named settings, or of all. An option that is not given is None.

    texts  setting -> help of a command to which it means something else
    """
    rows = [setting for setting in table() if names is None or setting.name in names]
    parser.set_defaults(settings=[setting.name for setting in rows])
    parser.add_argument("--config", type=Path, metavar="FILE", help=CONFIG_HELP)
    for title, members in itertools.groupby(rows, lambda setting: setting.option.group):
        group = parser.add_argument_group(title)
        for setting in members:
            text = setting.option.help
            if setting.default not in (None, (), False):
                text += f" Default: {setting.default}."
            _add(group, setting, (texts or {}).get(setting.name, text))


def _add(group: argparse._ArgumentGroup, setting: Setting, text: str) -> None:
    common: dict[str, Any] = {"dest": setting.name, "default": None, "help": text.replace("%", "%%")}
    if setting.kind == "flag":
        group.add_argument(*setting.flags, action=argparse.BooleanOptionalAction, **common)
        return
    if setting.option.words:
        group.add_argument(*setting.flags, nargs="+", action=_Joined, metavar=setting.option.metavar, **common)
        return
    group.add_argument(
        *setting.flags,
        action="extend" if setting.kind == "list" else "store",
        type=functools.partial(_converted, setting),
        metavar=f"{{{','.join(setting.choices)}}}" if setting.choices else setting.option.metavar,
        **common,
    )


class _Joined(argparse.Action):
    """Several words as one value."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: Any, option_string: object = None
    ) -> None:
        setattr(namespace, self.dest, ",".join(values))


def _converted(setting: Setting, text: str) -> Any:
    try:
        return sources.parsed(setting, text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def read_settings(namespace: argparse.Namespace) -> Settings:
    """The settings of a parser's options, from wherever they are given. Raises `StartError`."""
    flags = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(namespace).items()}
    given = {name: value for name, value in flags.items() if value is not None}
    return sources.read(given, namespace.settings, sources.config_file(namespace.config))
