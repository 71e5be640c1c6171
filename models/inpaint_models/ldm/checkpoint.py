"""The published forms of the weights and how they are named.

Official checkpoint: the autoencoder under `first_stage_model.` (and once more under `cond_stage_model.`), the U-Net
under `model.diffusion_model.`, and its moving average, which is what inference uses, under `model_ema.` with the dots
of the rest of the key left out. TorchScript: one file for the U-Net, and one each for encoding and decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..errors import WeightsCorrupted
from ..nn.torch_engine import on_meta, shapes_of
from ..registry import Layout, TensorShapes
from ..weights import Reader, read_state_dict
from . import CHECKPOINT_FILE, DECODE_FILE, DIFFUSION_FILE, ENCODE_FILE
from .autoencoder import Autoencoder
from .unet import UNetModel

State = dict[str, Tensor]

AUTOENCODER_PREFIX = "first_stage_model."
ENCODING_PARTS = ("encoder.", "quant_conv.")


def ema_key(key: str) -> str:
    """The name of the moving average of a U-Net parameter, without `model_ema.`."""
    return "diffusion_model" + key.replace(".", "")


def load_weights(
    unet: UNetModel, autoencoder: Autoencoder, files: Mapping[str, Path], read: Reader = read_state_dict
) -> None:
    """Fills both networks from either complete set of files: the three TorchScript files or the checkpoint.

    The networks may be on the meta device: their parameters are replaced, not copied into. Raises `WeightsError`.
    """
    if CHECKPOINT_FILE in files:
        unet_state = read_unet_of_checkpoint(read, files[CHECKPOINT_FILE], shapes_of(unet))
        named = read(files[CHECKPOINT_FILE], autoencoder_keys(shapes_of(autoencoder)))
        autoencoder_state = {key.removeprefix(AUTOENCODER_PREFIX): tensor for key, tensor in named.items()}
    else:
        unet_state = read(files[DIFFUSION_FILE], shapes_of(unet))
        encoding, decoding = halves(shapes_of(autoencoder))  # a file holds its own half at least, or both
        autoencoder_state = read(files[ENCODE_FILE], encoding) | read(files[DECODE_FILE], decoding)
    unet.load_state_dict(unet_state, assign=True)
    autoencoder.load_state_dict(autoencoder_state, assign=True)


def read_unet_of_checkpoint(read: Reader, path: Path, expected: TensorShapes) -> State:
    """The moving average where the file has it; some conversions keep nothing but it under the plain names."""
    try:
        averaged = read(path, averaged_keys(expected))
    except WeightsCorrupted:
        return read(path, expected)
    return {key: averaged[ema_key(key)] for key in expected}


def averaged_keys(expected: TensorShapes) -> TensorShapes:
    """The U-Net as the checkpoint's moving average names it."""
    return {ema_key(key): shape for key, shape in expected.items()}


def autoencoder_keys(expected: TensorShapes) -> TensorShapes:
    """The autoencoder as the checkpoint names the copy that is read."""
    return {AUTOENCODER_PREFIX + key: shape for key, shape in expected.items()}


def halves(expected: TensorShapes) -> tuple[TensorShapes, TensorShapes]:
    """(what encodes, what decodes) of the autoencoder."""
    encoding = {key: shape for key, shape in expected.items() if key.startswith(ENCODING_PARTS)}
    return encoding, {key: shape for key, shape in expected.items() if key not in encoding}


def layouts() -> tuple[Layout, ...]:
    """The checkpoint with the moving average or without, and each of the three files."""
    unet, autoencoder = shapes_of(on_meta(UNetModel)), shapes_of(on_meta(Autoencoder))
    encoding, decoding = halves(autoencoder)
    return (
        Layout((averaged_keys(unet), autoencoder_keys(autoencoder))),
        Layout((unet, autoencoder_keys(autoencoder))),
        Layout((unet,), DIFFUSION_FILE),
        Layout((encoding,), ENCODE_FILE),
        Layout((decoding,), DECODE_FILE),
    )
