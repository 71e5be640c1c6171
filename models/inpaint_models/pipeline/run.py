"""The engine at work. Arrays in, arrays out: nothing here knows a document, a box or a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..types import BatchEngine, Engine, FloatImage, HoleMask, ParamValue, Progress


def run(
    engine: Engine,
    images: Sequence[FloatImage],
    holes: Sequence[HoleMask],
    *,
    params: Mapping[str, ParamValue],
    seed: int,
    progress: Progress,
) -> list[FloatImage]:
    """The filled crops. Several are of one size, and the engine a `BatchEngine`: then it is called once for all."""
    if len(images) == 1:
        return [engine.fill(images[0], holes[0], params=params, seed=seed, progress=progress)]
    assert isinstance(engine, BatchEngine), "only a BatchEngine is given several crops at once"
    return engine.fill_batch(images, holes, params=params, seed=seed, progress=progress)
