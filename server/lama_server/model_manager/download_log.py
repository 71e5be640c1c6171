"""What the log says of a download: its terms before the first byte, each tenth of the way, and its end."""

from __future__ import annotations

import logging

from inpaint_models.registry import ModelEntry

log = logging.getLogger(__name__)


class DownloadLog:
    """One download's lines; begins with the model's licence and size."""

    def __init__(self, entry: ModelEntry) -> None:
        self._title, self._tenths = entry.title, 0
        terms = entry.licence.name if entry.licence.commercial_use else f"{entry.licence.name}, not for commercial use"
        about = "" if entry.sizes_are_known else "about "
        log.info("Getting the weights of %s: %s, %s%s", entry.title, terms, about, _size(entry.download_bytes))

    def arrived(self, done_bytes: int, total_bytes: int | None) -> None:
        tenths = 10 * done_bytes // total_bytes if total_bytes else 0
        if tenths > self._tenths and total_bytes:
            self._tenths = tenths
            log.info("Weights of %s: %d %% of %s", self._title, 10 * tenths, _size(total_bytes))

    def ended(self, error: Exception | None) -> None:
        if error is None:
            log.info("The weights of %s are there.", self._title)
        else:
            log.warning("The weights of %s could not be had: %s", self._title, error)


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"
