"""What happens to a request that was understood: with images, masks, files, models and jobs."""

from __future__ import annotations

from .base import ApiError


class ImageError(ApiError):
    """An image file that cannot be used."""


class ImageEmpty(ImageError, code="image.empty"):
    """The image is empty"""


class UnsupportedFormat(ImageError, code="image.unsupported_format", status=415):
    """The file is not an image of a supported format"""


class ImageCorrupt(ImageError, code="image.corrupt"):
    """The image is damaged"""


class ImageTruncated(ImageError, code="image.truncated"):
    """The image is cut off"""


class TooManyPixels(ImageError, code="image.too_many_pixels", status=413):
    """The image has too many pixels"""


class SideTooLong(ImageError, code="image.side_too_long", status=413):
    """A side of the image is too long"""


class ImageTooSmall(ImageError, code="image.too_small"):
    """The image is too small"""


class ImageAnimated(ImageError, code="image.animated"):
    """The image is animated"""


class MetadataTooLarge(ImageError, code="image.metadata_too_large"):
    """The image's metadata are too large"""


class ImageTooComplex(ImageError, code="image.too_complex"):
    """The image is too costly to decode"""


class StoreError(ApiError):
    """The store of images and edits cannot do what was asked."""


class ImageNotFound(StoreError, code="image.not_found", status=404):
    """The server does not have this image"""


class EditNotFound(StoreError, code="edit.not_found", status=404):
    """The server does not have this edit"""


class StoreUnavailable(StoreError, code="store.unavailable", status=503, retryable=True):
    """The store of images and edits cannot be used"""


class EditOnOtherCanvas(StoreError, code="edit.other_canvas"):
    """An edit was made on another canvas than the one it is to be shown on"""


class MaskError(ApiError):
    """A mask that cannot be used with its image."""


class MaskSizeWrong(MaskError, code="mask.size_mismatch"):
    """The mask is of another size than the image"""


class MaskEmpty(MaskError, code="mask.empty"):
    """The mask marks nothing"""


class MaskCoversAll(MaskError, code="mask.covers_image"):
    """The mask leaves nothing to fill from"""


class MaskLeavesNoSource(MaskError, code="mask.nothing_to_copy"):
    """Too little of the picture may be copied from"""


class MaskInvalid(MaskError, code="mask.invalid"):
    """The mask cannot be used"""


class FileMissing(ApiError, code="file.not_found", status=404):
    """The folder has no such file"""


class SaveError(ApiError):
    """A result could not be saved. The result itself is not lost."""


class RootUnavailable(SaveError, StoreError, code="root.unavailable", status=503, retryable=True):
    """A folder of the server is not available"""


class DiskFull(SaveError, code="save.disk_full", status=507, retryable=True):
    """The disk is full: the result was not saved"""


class SaveFailed(SaveError, code="save.failed", status=500, retryable=True):
    """The result was not saved"""


class SaveOff(SaveError, code="save.off", status=409):
    """The server has no output folder"""


class StoreFull(StoreError, code="server.temp_full", status=507, retryable=True):
    """The server's disk is full"""


class ModelSwitchDisabled(ApiError, code="model.switch_disabled", status=403):
    """The server fills with one model only"""


class ModelUnknown(ApiError, code="model.unknown", status=404):
    """There is no such model"""


class ModelWrongTask(ApiError, code="model.wrong_task"):
    """The model does something else"""


class ModelNoSourceControl(ApiError, code="model.no_source_control"):
    """The model cannot be told where to copy from"""


class ModelImageUnsuitable(ApiError, code="model.image_unsuitable"):
    """The model can do nothing with this image"""


class ModelFilesError(ApiError):
    """The model's files cannot be loaded."""


class ModelNotDownloaded(ModelFilesError, code="model.not_downloaded", status=409):
    """The model's weights are not on this machine"""


class ModelFormatUnsafe(ModelFilesError, code="model.unsafe_format", status=409):
    """The weights are in a format that can carry code"""


class ModelWeightsCorrupted(ModelFilesError, code="model.weights_corrupted", status=503):
    """The weights are damaged"""


class ModelDownloadFailed(ApiError, code="model.download_failed", status=503, retryable=True):
    """The weights could not be downloaded"""


class ModelLoading(ApiError, code="model.loading", status=503, retryable=True):
    """The model is not ready yet"""


class ModelUnavailable(ApiError, code="model.unavailable", status=409):
    """The model cannot run on this machine"""


class JobNotFound(ApiError, code="job.not_found", status=404):
    """There is no such job"""


class JobCancelled(ApiError, code="job.cancelled", status=409):
    """The job was cancelled"""


class JobDeadlineExceeded(ApiError, code="job.deadline_exceeded", status=504):
    """The job took too long"""


class QueueTimeout(ApiError, code="job.queue_timeout", status=503, retryable=True):
    """The job waited too long"""


class QueueFull(ApiError, code="queue.full", status=429, retryable=True):
    """Too many jobs are waiting"""


class EngineOutOfMemory(ApiError, code="engine.out_of_memory", status=503):
    """The work does not fit into memory"""


class EngineOutputInvalid(ApiError, code="engine.failed", status=500):
    """The model gave no usable result"""


class WorkerCrashed(ApiError, code="worker.crashed", status=503, retryable=True):
    """The worker process ended unexpectedly"""


class WorkerUnavailable(ApiError, code="worker.unavailable", status=503, retryable=True):
    """The worker process does not stay up"""


class ShuttingDown(ApiError, code="server.shutting_down", status=503, retryable=True):
    """The server is stopping"""


class Overloaded(ApiError, code="server.overloaded", status=503, retryable=True):
    """The server has too many files and connections open"""


class InternalError(ApiError, code="server.internal", status=500):
    """Something went wrong in the server"""
