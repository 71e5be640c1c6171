"""Everything that can be answered instead of a result: one class for each code, in one registry.

ApiError                        code, status, title, retryable; an instance is one occurrence and crosses processes
    request.py                  what is wrong with a request before its content matters, and with its fields
        RequestMalformed ...    request.*, upload.*, host.*, origin.*, auth.*, route.*
        BodyTooLarge ...        body.*, multipart.*
        FieldMissing ...        field.*
        ParamInvalid ...        params.malformed, param.*
            MaskBitmapInvalid   a bitmap shape that is not base64
            FormatCannotHold    the wanted output format cannot hold this image
            BatchInvalid        a batch that cannot be planned
    work.py                     what happens to a request that was understood
        ImageError              image.*: a file that cannot be used
        MaskError               mask.*
        StoreError              ImageNotFound, EditNotFound, EditOnOtherCanvas, StoreFull, StoreUnavailable,
                                RootUnavailable
        SaveError               DiskFull, SaveFailed, SaveOff, RootUnavailable
        ModelUnknown ...        model.*
            ModelFilesError     the model's files do not load
        JobNotFound ...         job.*, queue.*, engine.*, worker.*, server.*

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
