"""Stored outputs of the reference networks and how an implementation is compared with them.

A golden file holds `image` (uint8 RGB, (H, W, 3)), `mask` (uint8, 255 = hole) and results by name:

    name              the whole array, float32
    name__hole        (channels, N): the result at the hole's pixels in row-major order
    name__strideN     every N-th row and column
    name_png          an image, compressed; `load` gives it as `name`
    act/MODULE/stats  mean, unbiased standard deviation and largest magnitude of what MODULE returned
    act/MODULE/slice  8 x 8 sample of it, see `sample`
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from parity.weights import FOLDER

Golden = Mapping[str, NDArray[Any]]


def load(folder: str, file: str) -> Golden:
    """All arrays of tests/parity/FOLDER/FILE.npz."""
    with np.load(FOLDER / folder / f"{file}.npz") as data:
        return {
            name.removesuffix("_png"): decoded(data[name]) if name.endswith("_png") else data[name]
            for name in data.files
        }


def decoded(png: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) RGB."""
    image = np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), np.uint8)
    return image[..., ::-1] if image.ndim == 3 else image


def sample(value: NDArray[Any]) -> NDArray[Any]:
    """8 x 8 values of the first item, seen as (channels, everything else) or, for a matrix, as it is."""
    matrix = value[0].reshape(value.shape[1], -1) if value.ndim > 2 else value
    rows, columns = matrix.shape
    i = np.arange(8)
    picked: NDArray[Any] = matrix[(i * rows) // 8][:, ((2 * i + 1) * columns // 16 + 7 * i + 3) % columns]
    return picked


def statistics(value: NDArray[Any]) -> NDArray[Any]:
    """Mean, unbiased standard deviation, largest magnitude."""
    wide = value.astype(np.float64)
    return np.array([wide.mean(), wide.std(ddof=1), np.abs(wide).max()])


def assert_close(
    name: str, actual: NDArray[Any], golden: Golden, *, atol: float = 1e-4, mean_atol: float | None = None
) -> None:
    """Compare `actual` with every form of `name` in the golden file; fails when there is none.

    mean_atol  limit of the mean error where it is stricter than that of each value
    """
    compared = 0
    for key, reference in golden.items():
        if key == f"act/{name}/stats":
            part = statistics(actual)
        elif key == f"act/{name}/slice":
            part = sample(actual)
        elif key == name:
            part = actual
        elif key == f"{name}__hole":
            hole = golden["mask"] > 127
            part = actual.reshape((-1, *hole.shape))[:, hole]
        elif key.startswith(f"{name}__stride"):
            step = int(key.rpartition("stride")[2])
            part = actual[..., ::step, ::step]
        else:
            continue
        compared += 1
        assert part.shape == reference.shape, f"{key}: shape {part.shape}, reference {reference.shape}"
        error = np.abs(part.astype(np.float64) - reference)
        # A statistic or a feature of magnitude 30 cannot be nearer than the rounding of numbers of that size.
        limit = atol * max(1.0, float(np.abs(reference).max())) if key.startswith("act/") else atol
        said = f"{key}: largest error {error.max():.3g}, limit {limit:.3g}; mean {error.mean():.3g}, limit {mean_atol}"
        assert error.max() <= limit, said
        assert mean_atol is None or error.mean() <= mean_atol, said
    assert compared, f"{name} is not in the golden file, which has: {', '.join(golden)}"
