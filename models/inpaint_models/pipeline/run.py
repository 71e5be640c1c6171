"""The engine at work. Arrays in, arrays out: nothing here knows a document, a box or a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..types import BatchEngine, CopyingEngine, Engine, FloatImage, HoleMask, ParamValue, Progress


def run(
    engine: Engine,
    images: Sequence[FloatImage],
    holes: Sequence[HoleMask],
    allowed: NDArray[np.bool_] | None = None,
    *,
    params: Mapping[str, ParamValue],
    seed: int,
    progress: Progress,
) -> list[FloatImage]:
    """The filled crops. Several are of one size, and the engine a `BatchEngine`: then it is called once for all.

    allowed  what may be copied from in the one crop, of which the engine is a `CopyingEngine`; None: all of it
    """
    if allowed is not None:
        assert isinstance(engine, CopyingEngine), "the Inpainter refuses source control that an engine cannot follow"
        return [engine.fill_from(images[0], holes[0], allowed, params=params, seed=seed, progress=progress)]
    if len(images) == 1:
        return [engine.fill(images[0], holes[0], params=params, seed=seed, progress=progress)]
    assert isinstance(engine, BatchEngine), "only a BatchEngine is given several crops at once"
    return engine.fill_batch(images, holes, params=params, seed=seed, progress=progress)
