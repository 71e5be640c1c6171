"""Patches over a photo, read piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

from inpaint_models.types import Box
from lama_server.imaging.layers import LayeredPixels


def test_layers_slice_like_the_finished_picture() -> None:
    rng = np.random.default_rng(5)
    base = rng.integers(0, 65536, (40, 50, 3), np.uint16)
    layers, whole = [], base.copy()
    for box in (Box(5, 6, 20, 18), Box(10, 0, 50, 12), Box(0, 30, 9, 40)):
        pixels = rng.integers(0, 65536, (box.height, box.width, 3), np.uint16)
        layers.append((box, lambda pixels=pixels: pixels))
        whole[box.slices] = pixels
    seen = LayeredPixels(base, layers)
    assert (seen.shape, seen.dtype) == (whole.shape, whole.dtype)
    for _ in range(200):
        y0, y1 = sorted(rng.integers(0, 41, 2).tolist())
        x0, x1 = sorted(rng.integers(0, 51, 2).tolist())
        assert np.array_equal(seen[y0:y1, x0:x1], whole[y0:y1, x0:x1])
    assert np.array_equal(np.asarray(seen), whole)
    window = seen[0:5, 0:5]
    window[:] = 0
    assert np.array_equal(seen[0:5, 0:5], whole[0:5, 0:5]), "a slice is the caller's own"


def test_a_patch_is_read_once_and_only_when_it_is_touched() -> None:
    reads = []

    def read() -> np.ndarray:
        reads.append(1)
        return np.ones((5, 5, 3), np.uint8)

    seen = LayeredPixels(np.zeros((40, 50, 3), np.uint8), [(Box(10, 10, 15, 15), read)])
    assert not seen[0:10, 0:50].any()
    assert reads == []
    assert seen[0:12, 0:12].any()
    assert seen[10:15, 10:15].all()
    assert len(reads) == 1


def test_what_does_not_fit_is_refused() -> None:
    base = np.zeros((40, 50, 3), np.uint8)
    with pytest.raises(ValueError, match="does not fit"):
        LayeredPixels(base, [(Box(0, 0, 5, 5), lambda: np.zeros((5, 5, 4), np.uint8))])[0:9, 0:9]
    with pytest.raises(ValueError, match="without steps"):
        LayeredPixels(base)[::2, :]
