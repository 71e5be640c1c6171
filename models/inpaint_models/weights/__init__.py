"""Files of published weights: found where people have them, fetched when they are missing, checked before use.

Nothing here imports torch until tensors are read.
"""

from .folders import MODEL_DIR_VARIABLE, default_model_dir
from .reading import read_state_dict

__all__ = ["MODEL_DIR_VARIABLE", "default_model_dir", "read_state_dict"]
