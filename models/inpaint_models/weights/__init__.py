"""Files of published weights: found where people have them, fetched when they are missing, checked before use.

Nothing here imports torch until tensors are read, and what fetches, reads and converts is imported on first use: a
server whose files are there only looks for them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..folders import default_model_dir
from .locate import FileState, ModelFiles, accept, locate

if TYPE_CHECKING:
    from .conversion import convert
    from .copies import drop_damaged
    from .downloads import ProgressListener, TransferProgress, describe, download, silent
    from .network import Network
    from .reading import Reader, read_state_dict, reader_for

__all__ = [
    "FileState",
    "ModelFiles",
    "Network",
    "ProgressListener",
    "Reader",
    "TransferProgress",
    "accept",
    "convert",
    "default_model_dir",
    "describe",
    "download",
    "drop_damaged",
    "locate",
    "read_state_dict",
    "reader_for",
    "silent",
]

_HOME = {
    "Network": "network",
    "ProgressListener": "downloads",
    "Reader": "reading",
    "TransferProgress": "downloads",
    "convert": "conversion",
    "describe": "downloads",
    "download": "downloads",
    "drop_damaged": "copies",
    "read_state_dict": "reading",
    "reader_for": "reading",
    "silent": "downloads",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
