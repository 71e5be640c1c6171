"""Files of published weights: found where people have them, fetched when they are missing, checked before use.

Nothing here imports torch until tensors are read, and what fetches, reads and converts is imported on first use: a
server whose files are there only looks for them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..folders import default_model_dir as default_model_dir
from .locate import FileState as FileState
from .locate import ModelFiles as ModelFiles
from .locate import accept as accept
from .locate import locate as locate

if TYPE_CHECKING:
    from .conversion import convert as convert
    from .copies import drop_damaged as drop_damaged
    from .downloads import ProgressListener as ProgressListener
    from .downloads import TransferProgress as TransferProgress
    from .downloads import describe as describe
    from .downloads import download as download
    from .downloads import silent as silent
    from .network import Network as Network
    from .reading import Reader as Reader
    from .reading import read_state_dict as read_state_dict
    from .reading import reader_for as reader_for

_HOME = {
    "conversion": ("convert",),
    "copies": ("drop_damaged",),
    "downloads": ("ProgressListener", "TransferProgress", "describe", "download", "silent"),
    "network": ("Network",),
    "reading": ("Reader", "read_state_dict", "reader_for"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
