"""Files of published weights: found where people have them, fetched when they are missing, checked before use.

Nothing here imports torch until tensors are read.
"""

from .convert import convert
from .copies import drop_damaged
from .download import DownloadProgress, ProgressListener, download, silent
from .folders import MODEL_DIR_VARIABLE, default_model_dir
from .locate import FileState, ModelFiles, accept, locate
from .network import Network
from .reading import read_state_dict

__all__ = [
    "MODEL_DIR_VARIABLE",
    "DownloadProgress",
    "FileState",
    "ModelFiles",
    "Network",
    "ProgressListener",
    "accept",
    "convert",
    "default_model_dir",
    "download",
    "drop_damaged",
    "locate",
    "read_state_dict",
    "silent",
]
