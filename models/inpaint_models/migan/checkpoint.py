"""What files of MI-GAN's weights hold: the same keys in the official .pt files and in the traced one that IOPaint uses.

They also hold the resampling filters and lattices, which are constants and not asked for.
"""

from __future__ import annotations

from functools import partial

from ..errors import WeightsCorrupted
from ..nn.torch_engine import on_meta, read_state, shapes_of
from ..registry import Layout, LoadContext
from .network import MIGAN

RESOLUTIONS = (512, 256)
"""At which networks were published, the likelier first."""


def read_network(context: LoadContext) -> MIGAN:
    """The network of the resolution that the file is for, in float32. Raises `WeightsError`."""
    errors = []
    for resolution in RESOLUTIONS:
        network = on_meta(partial(MIGAN, resolution))
        try:
            state = read_state(context, shapes_of(network))
        except WeightsCorrupted as error:
            errors.append(error)
            continue
        network.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
        return network.requires_grad_(False)
    raise errors[0]


def layouts() -> tuple[Layout, ...]:
    """The network at either resolution."""
    return tuple(Layout((shapes_of(on_meta(partial(MIGAN, resolution))),)) for resolution in RESOLUTIONS)
