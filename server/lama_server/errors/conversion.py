"""Other exceptions as `ApiError`s."""

from __future__ import annotations

import errno
from typing import Final

import inpaint_models.errors as model_errors

from . import disk, request, work
from .base import ApiError, json_pointer

MODEL_ERRORS: Final[dict[type[model_errors.ModelError], type[ApiError]]] = {
    model_errors.ModelError: work.EngineOutputInvalid,
    model_errors.UnknownModel: work.ModelUnknown,
    model_errors.WrongTask: work.ModelWrongTask,
    model_errors.InvalidInput: request.ParamInvalid,
    model_errors.InvalidImage: work.ImageCorrupt,
    model_errors.UnsuitableImage: work.ModelImageUnsuitable,
    model_errors.InvalidPrompts: request.ParamInvalid,
    model_errors.InvalidMask: work.MaskInvalid,
    model_errors.EmptyMask: work.MaskEmpty,
    model_errors.MaskCoversImage: work.MaskCoversAll,
    model_errors.MaskSizeMismatch: work.MaskSizeWrong,
    model_errors.NothingToCopy: work.MaskLeavesNoSource,
    model_errors.SourceControlUnsupported: work.ModelNoSourceControl,
    model_errors.InvalidParameter: request.ParamInvalid,
    model_errors.UnknownParameter: request.ParamUnknown,
    model_errors.ParameterType: request.ParamWrongType,
    model_errors.ParameterRange: request.ParamOutOfRange,
    model_errors.ParameterChoice: request.ParamUnknownValue,
    model_errors.WeightsError: work.ModelWeightsCorrupted,
    model_errors.WeightsMissing: work.ModelNotDownloaded,
    model_errors.WeightsCorrupted: work.ModelWeightsCorrupted,
    model_errors.UnsafeWeights: work.ModelFormatUnsafe,
    model_errors.DownloadFailed: work.ModelDownloadFailed,
    model_errors.Unavailable: work.ModelUnavailable,
    model_errors.OutOfMemory: work.EngineOutOfMemory,
    model_errors.EngineFailed: work.EngineOutputInvalid,
    model_errors.Cancelled: work.JobCancelled,
}


def api_error_of(error: BaseException) -> ApiError:
    """What to answer when `error` ended a request or a job. Unknown classes tell nothing about themselves."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, model_errors.ModelError):
        return from_model_error(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in disk.DISK_FULL:
        return work.StoreFull("The disk that holds the server's working files is full. Free some space.")
    if number in (errno.EMFILE, errno.ENFILE):
        return work.Overloaded("Too many files and connections are open. Try again in a moment.", retry_after=5)
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return work.EngineOutOfMemory("There was not enough memory. Use a smaller photo or another model.")
    return work.InternalError("Something went wrong in the server. The log has the details under this request id.")


def from_model_error(error: model_errors.ModelError) -> ApiError:
    """A library's error in the server's words; one about a parameter points at it."""
    kind = next(MODEL_ERRORS[base] for base in type(error).__mro__ if base in MODEL_ERRORS)
    pointer = json_pointer("params", error.name) if isinstance(error, model_errors.InvalidParameter) else None
    return kind(str(error), pointer=pointer)
