"""The published checkpoints' names for the tensors of `network.MAT`.

Published files hold two kinds of constants besides the network's own data: the resampling filter, once for every
convolution whether it resamples or not, and the visibility mask of each block with shifted windows. The network makes
both itself; they are listed here so that a file can be checked key by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from ..nn.stylegan import EqualizedConv2d, ModulatedConv2d
from ..nn.torch_engine import on_meta
from ..registry import TensorShapes
from .layers import ToRGB
from .network import MAT, AdjustedBlock, MATConfig, TransformerStage

_WORDS = {
    "attention": "attn",
    "query": "q",
    "key": "k",
    "value": "v",
    "projection": "proj",
    "expand": "mlp.fc1",
    "contract": "mlp.fc2",
    "first": "conv0",
    "second": "conv1",
    "to_rgb": "toRGB",
}
"""Our words and the published ones, inside the modules of `_modules`."""


def published_name(name: str, config: MATConfig) -> str:
    """The published key of one of the network's tensors or modules."""
    modules = _modules(config)
    words = name.split(".")
    for length in range(len(words), 0, -1):
        if (prefix := modules.get(".".join(words[:length]))) is not None:
            rest = [_WORDS.get(word, word) for word in words[length:]]
            published = ".".join([prefix, *rest])
            return published.replace(".noise.strength", ".noise_strength").replace(".noise.map", ".noise_const")
    raise KeyError(name)


def published_shapes(network: MAT) -> TensorShapes:
    """Key -> shape of everything in a published file of this network: its own data and the constants."""
    return {key: shape for key, shape, _ in _own(network)} | dict(constant_shapes(network))


def constant_shapes(network: MAT) -> TensorShapes:
    """Key -> shape of the constants in a published file, which are no part of the network's state."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_modules():
        if isinstance(module, EqualizedConv2d | ModulatedConv2d | ToRGB):
            shapes[published_name(name, network.config) + ".resample_filter"] = (4, 4)
        if isinstance(module, TransformerStage):
            shapes.update(_window_masks(name, module, network.config))
    return shapes


def load_published(network: MAT, tensors: Mapping[str, Tensor]) -> None:
    """Give the network the tensors of a published file, by key and widened to single precision.

    The file may hold more than the network wants. The network may be on the meta device, see `blank_network`.
    """
    state = {name: tensors[key].float().reshape(value.shape) for key, _, (name, value) in _own(network)}
    network.load_state_dict(state, assign=True)


def blank_network(config: MATConfig) -> MAT:
    """A network for inference whose tensors have shapes but no memory yet."""
    return on_meta(lambda: MAT(config))


def _own(network: MAT) -> Iterator[tuple[str, tuple[int, ...], tuple[str, Tensor]]]:
    """(published key, published shape, (our name, our tensor)) of all of the network's data."""
    modulated = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, ModulatedConv2d)}
    for name, value in network.state_dict().items():
        shape = (1, *value.shape) if name in modulated else tuple(value.shape)
        yield published_name(name, network.config), shape, (name, value)


def _window_masks(name: str, stage: TransformerStage, config: MATConfig) -> TensorShapes:
    """The visibility masks that a stage's blocks have in a published file: (windows, n, n)."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, block in enumerate(stage.blocks):
        assert isinstance(block, AdjustedBlock)
        if block.attention.shift:
            area = block.attention.window**2
            key = published_name(f"{name}.blocks.{index}", config) + ".attn_mask"
            shapes[key] = (stage.side**2 // area, area, area)
    return shapes


def _modules(config: MATConfig) -> dict[str, str]:
    """Our module -> the published one, down to where the names of the parts are the same for all."""
    first, second = "synthesis.first_stage", "synthesis"
    names = {
        "mapping.mean_style": "mapping.w_avg",
        "first_stage.head.layers.0": f"{first}.conv_first",
        "first_stage.style.noise_style": f"{first}.ws_style",
        "first_stage.style.noise_map": f"{first}.to_square",
        "first_stage.style.shrink": f"{first}.down_conv",
        "first_stage.style.image_style": f"{first}.to_style",
        "first_stage.tail.blocks": f"{first}.dec_conv",
        "second_stage.noise_map": f"{second}.to_square",
        "second_stage.shrink": f"{second}.to_style.conv",
        "second_stage.image_style": f"{second}.to_style.fc",
    }
    names |= {f"mapping.layers.{i}": f"mapping.fc{i}" for i in range(config.mapping_layers)}
    names |= {f"first_stage.head.layers.{i + 1}": f"{first}.enc_conv.{i}" for i in range(config.head_halvings)}
    for index in range(len(config.stages)):
        ours, published = f"first_stage.body.stages.{index}", f"{first}.tran.{index}"
        names[ours] = published
        names[f"{ours}.enter"] = f"{published}.downsample.conv"
        names[f"{ours}.blocks"] = f"{published}.blocks"
        names[f"{ours}.leave"] = f"{published}.conv"
    sides = config.unet_sides
    names |= {f"second_stage.encoder.{i}": f"{second}.enc.EncConv_Block_{n}x{n}" for i, n in enumerate(sides)}
    names["second_stage.bottom"] = f"{second}.dec.Dec_{sides[-1]}x{sides[-1]}"
    names |= {f"second_stage.decoder.{i}": f"{second}.dec.Dec_{n}x{n}" for i, n in enumerate(sides[-2::-1])}
    return names
