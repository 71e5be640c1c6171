"""What can go wrong with images, masks, the store and saved files.

LamaServerError             every class carries the stable `code` that clients switch on
    ImageError
        ImageEmpty          image.empty
        UnsupportedFormat   image.unsupported_format
        ImageCorrupt        image.corrupt
        ImageTruncated      image.truncated
        TooManyPixels       image.too_many_pixels
        SideTooLong         image.side_too_long
        ImageTooSmall       image.too_small
        ImageAnimated       image.animated
        MetadataTooLarge    image.metadata_too_large
        ImageTooComplex     image.too_complex
    MaskError
        MaskSizeMismatch    mask.size_mismatch
        MaskEmpty           mask.empty
        MaskBitmapInvalid   param.invalid            a bitmap shape that is not base64
    FormatCannotHold        param.invalid            the wanted output format cannot hold this image
    BatchInvalid            param.invalid            a batch that cannot be planned
    StoreError
        ImageNotFound       image.not_found
        EditNotFound        edit.not_found
        StoreFull           server.temp_full
    SaveError
        DiskFull            save.disk_full
        SaveFailed          save.failed
        RootUnavailable     root.unavailable

A message says what was wrong, what was found and what to do. It holds no path of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit that was exceeded.

    name    as in the settings, such as "max_megapixels"
    value   what is allowed
    actual  what was found
    flag    the command line flag that changes it, if there is one
    """

    name: str
    value: float
    actual: float
    flag: str | None = None


class LamaServerError(Exception):
    """Base of every error that the server raises on purpose."""

    code: ClassVar[str] = "server.internal"

    def __init__(self, message: str, *, limit: Limit | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.limit = limit

    def __reduce__(self) -> tuple[object, ...]:
        """Crosses process borders with its limit."""
        return _restored, (type(self), self.message, self.limit)


def _restored(kind: type[LamaServerError], message: str, limit: Limit | None) -> LamaServerError:
    return kind(message, limit=limit)


class ImageError(LamaServerError):
    """An image file that cannot be used."""

    code = "image.corrupt"


class ImageEmpty(ImageError):
    """A file of no bytes."""

    code = "image.empty"


class UnsupportedFormat(ImageError):
    """Not one of the accepted formats, or a variant of one that cannot be read without loss."""

    code = "image.unsupported_format"


class ImageCorrupt(ImageError):
    """Starts like an image but is damaged."""

    code = "image.corrupt"


class ImageTruncated(ImageError):
    """Ends too early."""

    code = "image.truncated"


class TooManyPixels(ImageError):
    """More pixels than the limit."""

    code = "image.too_many_pixels"


class SideTooLong(ImageError):
    """Wider or higher than the limit."""

    code = "image.side_too_long"


class ImageTooSmall(ImageError):
    """Narrower or lower than any engine can use."""

    code = "image.too_small"


class ImageAnimated(ImageError):
    """Holds more than one frame."""

    code = "image.animated"


class MetadataTooLarge(ImageError):
    """EXIF, ICC, XMP or text beyond the limit, also when only after unpacking."""

    code = "image.metadata_too_large"


class ImageTooComplex(ImageError):
    """A file made to take very long to decode."""

    code = "image.too_complex"


class MaskError(LamaServerError):
    """A mask that cannot be used with its image."""

    code = "mask.empty"


class MaskSizeMismatch(MaskError):
    """The mask is of another size than the image."""

    code = "mask.size_mismatch"


class MaskEmpty(MaskError):
    """Nothing in the mask marks a pixel of the image."""

    code = "mask.empty"


class MaskBitmapInvalid(MaskError):
    """A bitmap shape whose text is not base64."""

    code = "param.invalid"


class FormatCannotHold(LamaServerError):
    """The wanted output format cannot hold this image."""

    code = "param.invalid"


class BatchInvalid(LamaServerError):
    """A batch that cannot be planned, or a picture without a mask."""

    code = "param.invalid"


class StoreError(LamaServerError):
    """The store of images and edits cannot do what was asked."""

    code = "server.temp_full"


class ImageNotFound(StoreError):
    """No image of that id; it may have been evicted. Upload it again."""

    code = "image.not_found"


class EditNotFound(StoreError):
    """No edit of that id; it may have been evicted with its image."""

    code = "edit.not_found"


class StoreFull(StoreError):
    """The disk that holds the store is full."""

    code = "server.temp_full"


class SaveError(LamaServerError):
    """A result could not be saved. The result itself is not lost."""

    code = "save.failed"


class DiskFull(SaveError):
    """No space left in the output folder."""

    code = "save.disk_full"


class SaveFailed(SaveError):
    """The output folder refused the file."""

    code = "save.failed"


class RootUnavailable(SaveError):
    """The output folder is gone."""

    code = "root.unavailable"
