"""Files of published weights: found where people have them, fetched when they are missing, checked before use.

Nothing here imports torch until tensors are read.
"""

from ..folders import default_model_dir
from .convert import convert
from .copies import drop_damaged
from .download import ProgressListener, TransferProgress, download, silent
from .locate import FileState, ModelFiles, accept, locate
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
    "download",
    "drop_damaged",
    "locate",
    "read_state_dict",
    "reader_for",
    "silent",
]
