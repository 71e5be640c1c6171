"""What can go wrong in the library: each class is a kind of `ModelError`."""

from __future__ import annotations


class ModelError(Exception):
    """Base of every error that the library raises on purpose."""


class UnknownModel(ModelError):
    """No entry of that name."""


class WrongTask(ModelError):
    """The model is there, but for another task."""


class InvalidInput(ModelError):
    """The caller's image, mask or parameter cannot be used."""


class InvalidImage(InvalidInput):
    """Not an (H, W, 3) or (H, W, 4) array of uint8 or uint16."""


class UnsuitableImage(InvalidInput):
    """A proper image with which this model can do nothing; the message says what it would need."""


class InvalidPrompts(InvalidInput):
    """Points, boxes and strokes that say nothing, or lie outside the image."""


class InvalidMask(InvalidInput):
    """The mask cannot be used with this image or model."""


class EmptyMask(InvalidMask):
    """Nothing to fill."""


class MaskCoversImage(InvalidMask):
    """Nothing known is left to fill from."""


class MaskSizeMismatch(InvalidMask):
    """The mask is of another size than the image."""


class NothingToCopy(InvalidMask):
    """The caller restricted what may be copied to so little that no patch fits into it."""


class SourceControlUnsupported(InvalidInput):
    """The model copies nothing, so it cannot be told where to copy from."""


class InvalidParameter(InvalidInput):
    """A parameter of the model cannot be used. `name` says which."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownParameter(InvalidParameter):
    """The model has no such parameter."""


class ParameterType(InvalidParameter):
    """A value of the wrong type."""


class ParameterRange(InvalidParameter):
    """A number outside its limits."""


class ParameterChoice(InvalidParameter):
    """A word that is not among the choices."""


class WeightsError(ModelError):
    """Something about a model's files. Messages name files but no folders, because they are shown to browsers too."""


class WeightsMissing(WeightsError):
    """The files are not on this machine and may not be fetched now."""


class WeightsCorrupted(WeightsError):
    """A file is there but is not what the manifest says."""


class UnsafeWeights(WeightsError):
    """A file format that can carry code, and the file is not a known one."""


class DownloadFailed(WeightsError):
    """No source delivered the file. `cause` is a word for programs: "timeout", "not_found", "disk_full" ..."""

    def __init__(self, message: str, *, cause: str = "connection") -> None:
        super().__init__(message)
        self.cause = cause


class Unavailable(ModelError):
    """The model cannot run on this machine: a package or a device is missing."""


class OutOfMemory(ModelError):
    """The fill does not fit into the device's memory."""


class EngineFailed(ModelError):
    """The network's answer is not a picture (NaN or infinite values in full precision)."""


class Cancelled(ModelError):
    """The caller no longer wants the result; raised by a `Progress`."""
