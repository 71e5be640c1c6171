"""A quick look: while a slow fill goes on, what a quicker model makes of the same hole."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from inpaint_models.errors import Cancelled
from inpaint_models.types import Patch

MOST_DELAY = 0.1
"""Of the time that a fill still takes, so much may go to a look at most. It is about half of that in truth: what a look
costs is known from the model's first fill, which takes twice as long as later ones."""

log = logging.getLogger(__name__)


class QuickLook:
    """One look, once it is known that the fill takes long enough; between two steps of the fill, in its thread.

    patches  the quicker model's answer, one patch after the other; none where it is not loaded
    cost_s   what a patch takes
    show     called with each
    """

    def __init__(self, patches: Callable[[], Iterator[Patch]], cost_s: float, show: Callable[[Patch], None]) -> None:
        self._patches, self._cost_s, self._show = patches, cost_s, show
        self._began_s = time.monotonic()
        self._is_over = False

    def consider(self, done: float) -> None:
        """Looks if the fill, of which this share is done, will go on long enough. Raises `Cancelled`."""
        elapsed_s = time.monotonic() - self._began_s
        if self._is_over or not 0 < done < 1 or elapsed_s < self._cost_s:
            return
        allowed_s = MOST_DELAY * elapsed_s * (1 - done) / done
        if self._cost_s > allowed_s:
            return
        self._is_over = True
        try:
            self._look(allowed_s)
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001  nobody asked for the look: the fill goes on without it
            log.warning("There is no quick look: %s: %s", type(error).__name__, error)

    def _look(self, allowed_s: float) -> None:
        began_s = time.monotonic()
        for patch in self._patches():
            self._show(patch)
            if time.monotonic() - began_s + self._cost_s > allowed_s:
                return
