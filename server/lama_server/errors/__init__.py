"""Everything that can be answered instead of a result: one class for each code, in one registry.

A code is stable: clients switch on it, people read `detail`. Adding a code is a minor version; changing or removing one
is a major version. The table of codes in docs/api.md is made from these classes.

`detail` says what was wrong, what was found and what to do. It names no path, no class and no line of code.
`api_error_of` turns every other exception, those of the library included, into one of these classes.
"""

from .base import REGISTRY as REGISTRY
from .base import ApiError as ApiError
from .base import Limit as Limit
from .base import json_pointer as json_pointer
from .conversion import MODEL_ERRORS as MODEL_ERRORS
from .conversion import api_error_of as api_error_of
from .request import *  # noqa: F403  every class is part of the registry
from .work import *  # noqa: F403
