"""TIFF: 8 and 16 bit as they are, 32 bit floating point as 16 bit whose untouched samples come back as they were.

(TIFF 6.0; Supplement 2 for Deflate; Technical Note 3 for floating point.)
"""

from .floats import original_samples, read_float
from .reading import FLOAT, check_samples, is_beyond_pillow, parse, parse_tags, read_deep, unmultiplied, verify
from .tags import first_directory
from .writing import write

__all__ = [
    "FLOAT",
    "check_samples",
    "first_directory",
    "is_beyond_pillow",
    "original_samples",
    "parse",
    "parse_tags",
    "read_deep",
    "read_float",
    "unmultiplied",
    "verify",
    "write",
]
