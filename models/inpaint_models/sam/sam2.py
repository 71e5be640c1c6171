"""SAM 2.1 as the transformers library has it: Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024.

Published as a folder with a configuration and weights for videos, of which the parts for pictures are read. The
library's own preparation of pictures needs torchvision; the little that is to do is done here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers.models.sam2.modeling_sam2 import Sam2Model, Sam2MultiScaleBlock

from .. import devices
from ..errors import WeightsCorrupted
from ..nn.torch_engine import Pulse
from ..protocols import StepProgress
from ..registry import LoadContext
from .engine import Answers, PointEngine
from .marks import Marks

_MEAN, _DEVIATION = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
"""Of the pictures that it was trained on, in [0, 1]."""


class Sam2:
    """The two halves; the picture is stretched to a square.

    dtype  of the encoder's products; in a half precision places would be pixels apart
    """

    def __init__(self, network: Any, device: torch.device, dtype: torch.dtype) -> None:
        self._network, self._device, self._dtype = network, device, dtype
        self.side_px: int = network.config.prompt_encoder_config.image_size
        self._pulse = Pulse()
        self._pulse.watch(module for module in network.modules() if isinstance(module, Sam2MultiScaleBlock))

    def encode(self, image: NDArray[np.uint8], progress: StepProgress) -> tuple[list[Tensor], int]:
        with self._pulse.telling(lambda stage, step, total, preview=None: progress(stage, step, total)):
            self._pulse.report("encoding", 0, 1)
            half = self._dtype != torch.float32
            with torch.inference_mode(), torch.autocast(self._device.type, self._dtype, enabled=half):
                maps = [one.float() for one in self._network.get_image_embeddings(self.prepared(image))]
        return maps, sum(one.nbytes for one in maps)

    def prepared(self, image: NDArray[np.uint8]) -> Tensor:
        """(1, 3, side, side): normalised, and resized as the library does, by Pillow's filter."""
        small = Image.fromarray(image).resize((self.side_px, self.side_px), Image.Resampling.BILINEAR)
        pixels = (np.asarray(small, np.float32) / 255 - _MEAN) / _DEVIATION
        return torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).to(self._device)

    def decode(self, embedding: list[Tensor], size: tuple[int, int], marks: Marks) -> Answers:
        """The network adds half a pixel to places."""
        to_square = self.side_px / np.array(size[::-1], np.float32)
        places = torch.from_numpy(marks.points * to_square - 0.5).to(self._device)
        with torch.inference_mode():
            made = self._network(
                image_embeddings=embedding,
                input_points=places[None, None],
                input_labels=torch.from_numpy(marks.labels).to(self._device)[None, None],
                multimask_output=marks.ambiguous,
            )
        logits, scores = (one[0, 0].cpu().numpy() for one in (made.pred_masks, made.iou_scores))
        return Answers(logits, scores, (logits.shape[2] / size[1], logits.shape[1] / size[0]))


def load(context: LoadContext) -> PointEngine:
    """Raises `WeightsCorrupted` for a folder that holds something else."""
    (folder,) = context.weights.values()
    dtype, device = devices.choose_precision(context.precision, context.device), torch.device(context.device)
    network = _read(folder).to(device).eval().requires_grad_(False)
    return PointEngine(context.entry, Sam2(network, device, dtype), context.device)


def _read(folder: Path) -> Any:
    transformers.utils.logging.set_verbosity_error()  # it writes to the terminal
    transformers.utils.logging.disable_progress_bar()
    try:
        network, told = Sam2Model.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise WeightsCorrupted(f"{folder.name} cannot be loaded ({said}). Download it again.") from error
    if missing := sorted(told["missing_keys"]):
        raise WeightsCorrupted(f"{folder.name} lacks {len(missing)} tensors of SAM 2.1, such as {missing[0]}.")
    return network
