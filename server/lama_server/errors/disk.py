"""What the system says of disks and folders, as errors of ours."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from typing import Final

from .work import RootUnavailable, StoreFull

DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

FOLDER_GONE: Final = (
    errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENODEV,
    errno.ENXIO,
)  # fmt: skip
"""Of a folder that is not there any more, is another one than it was, or cannot be written to."""

NOT_OF_DISKS: Final = (None, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Of a library itself, of memory, and of descriptors."""

log = logging.getLogger(__name__)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """For work on the data folder: `StoreFull` for a full disk, `RootUnavailable` for all else that the system says."""
    try:
        yield
    except OSError as error:
        if error.errno in NOT_OF_DISKS:
            raise
        if error.errno in DISK_FULL:
            raise StoreFull("The disk that holds the server's working files is full. Free some space.") from error
        log.warning("the data folder: %s", error)
        raise RootUnavailable(
            f"The server's data folder cannot be used ({error.strerror}). Check that it is there and "
            "can be written to, and send the photo again."
        ) from error
