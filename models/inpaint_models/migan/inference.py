"""The form of MI-GAN that fills: the same function of the same weights as `network.MIGAN`, in a tenth of the time.

The network does little arithmetic on large maps, so what counts is how often memory is walked through, and how much of
it is fresh. Each level is computed in bands of rows that stay in a core's cache, a thread for each. Gains are folded
into weights and biases (a leaky ReLU is homogeneous, so its sqrt(2) goes in front of it), and activations are done in
place. Maps are channels_last, in which a 1x1 convolution is a matrix product. Doubling the size is bilinear
interpolation, which equals the published filter except on the border. The decoder works on a window around the hole,
and what the encoder keeps for it is no larger.

A band or a window is computed as if nothing lay beyond it, with a margin that its border's zeros cannot cross.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import devices
from ..nn.bands import Band, bands, for_each
from ..nn.windows import cut, hole_box, shrunk
from ..types import Box
from .network import (
    GAIN,
    LIMIT,
    MIGAN,
    SLOPE,
    DecoderLevel,
    EncoderLevel,
    SeparableConv2d,
    binomial_filter,
    masked_input,
)

BAND_VALUES = 1 << 19
"""Of a map in one band: 2 MiB in float32, of which a few fit into the caches of a core."""

BAND_MARGIN = 2
"""Rows around a band, counted on the smaller of a level's two maps, whose results are thrown away. Two is the least: of
a level's rows up to 4 are wrong at a border, 1 for each 3x3 convolution and up to 2 for the change of size."""

WINDOW_MARGIN = 4
"""Pixels of a decoder level's input around the hole, on the smaller map. A level must be right for `WINDOW_MARGIN` of
the 2 * `WINDOW_MARGIN` pixels that it has there, and is wrong for up to 4."""

OnLevel = Callable[[], None]
"""Called before each level."""


class InferenceMIGAN(nn.Module):
    """Built from a network, whose weights it copies."""

    def __init__(self, network: MIGAN) -> None:
        super().__init__()
        self.resolution = network.resolution
        self.encoder = nn.ModuleList(map(FoldedEncoderLevel, network.encoder.levels()))
        self.decoder = nn.ModuleList(map(FoldedDecoderLevel, network.synthesis.levels()))

    @property
    def dtype(self) -> torch.dtype:
        """In which maps are computed; what goes in and comes out keeps its own."""
        return next(self.buffers()).dtype

    @property
    def n_levels(self) -> int:
        """How often `on_level` is called."""
        return len(self.encoder) + len(self.decoder)

    def forward(self, image: Tensor, known: Tensor, on_level: OnLevel = lambda: None) -> Tensor:
        """The image with its hole filled; known pixels are the input's own.

        image  (1, 3, H, W) in [-1, 1]; H and W are multiples of the resolution
        known  (1, 1, H, W): 1 = known, 0 = hole, of which there is at least one pixel
        """
        target = hole_box(known)
        layout = devices.map_layout(image.device.type)
        x = masked_input(image, known).to(self.dtype, memory_format=layout)
        x, skips, windows = self._encode(x, target, on_level)
        fill, place = self._decode(x, skips, windows, on_level)
        out = image.clone()
        hole = cut(known, place) < 1
        cut(out, place).copy_(torch.where(hole, fill, cut(out, place)))
        return out

    def _encode(self, x: Tensor, target: Box, on_level: OnLevel) -> tuple[Tensor, list[Tensor], list[Box]]:
        """The smallest map, and of every larger one, largest first, the part that decoding needs and its place."""
        skips, windows = [], []
        for index, level in enumerate(self.encoder):
            on_level()
            height, width = x.shape[2:]
            window = Box(0, 0, width, height)
            if index < len(self.encoder) - 1:  # twice what the decoder level of that size takes in
                window = shrunk(target, 2 ** (index + 1), WINDOW_MARGIN, height // 2, width // 2).times(2)
            x, skip = level(x, window)
            skips.append(skip)
            windows.append(window)
        return x, skips, windows

    def _decode(self, x: Tensor, skips: list[Tensor], windows: list[Box], on_level: OnLevel) -> tuple[Tensor, Box]:
        """RGB, and the window of the image that it covers; uses up `skips`."""
        image: Tensor | None = None
        place = windows[-1]  # what x covers of its level's map
        for index, level in enumerate(self.decoder):
            on_level()
            window, skip = windows.pop(), skips.pop()
            if image is not None:
                part = Box(*(edge // 2 for edge in window)).shifted(-place.x0, -place.y0)
                x, image = cut(x, part), cut(image, part)
            x, image = level(x, skip, image, window, last=index == len(self.decoder) - 1)
            place = window
        assert image is not None
        return image, place


class FoldedEncoderLevel(nn.Module):
    """`EncoderLevel` in bands."""

    def __init__(self, level: EncoderLevel) -> None:
        super().__init__()
        self.from_rgb = None if level.fromrgb is None else FoldedPointwise(level.fromrgb, gain=GAIN)
        self.first, self.second = FoldedUnit(level.conv1), FoldedUnit(level.conv2)
        self.scale = 2 if self.second.resample == "down" else 1

    def forward(self, x: Tensor, window: Box) -> tuple[Tensor, Tensor]:
        """The map for the next level, and what `window` shows of the one that the decoder adds."""
        rows = x.shape[2] // self.scale
        skip = new_map(x, self.first.outputs, window.y1 - window.y0, window.x1 - window.x0)
        smaller = new_map(x, self.second.outputs, rows, x.shape[3] // self.scale)

        def work(band: Band) -> None:
            strip = x[:, :, self.scale * band.top : self.scale * band.bottom]
            if self.from_rgb is not None:
                strip = activate_(self.from_rgb(strip))
            strip = self.first(strip)
            y0, y1, top, _ = (self.scale * edge for edge in band)
            self._keep(strip, skip, window, y0, y1, top)
            smaller[:, :, band.y0 : band.y1] = self.second(strip)[:, :, band.y0 - band.top : band.y1 - band.top]

        in_bands(work, rows, self.scale * x.shape[3] * self.first.outputs, x.device)
        return smaller, skip

    def _keep(self, strip: Tensor, skip: Tensor, window: Box, y0: int, y1: int, top: int) -> None:
        """Of a strip that begins at row `top`, rows y0 to y1 as far as they are in the window."""
        y0, y1 = max(y0, window.y0), min(y1, window.y1)
        if y0 < y1:
            skip[:, :, y0 - window.y0 : y1 - window.y0] = strip[:, :, y0 - top : y1 - top, window.x0 : window.x1]


class FoldedDecoderLevel(nn.Module):
    """`DecoderLevel` in bands."""

    def __init__(self, level: DecoderLevel) -> None:
        super().__init__()
        self.first, self.second = FoldedUnit(level.conv1), FoldedUnit(level.conv2)
        self.to_rgb = FoldedPointwise(level.torgb)
        self.scale = 2 if self.first.resample == "up" else 1

    def forward(
        self, x: Tensor, skip: Tensor, image: Tensor | None, window: Box, *, last: bool
    ) -> tuple[Tensor, Tensor]:
        """This level's map and image.

        x, image  as large as the skip, or half as large where the level doubles the size
        window    the part of the level's whole map that `skip` is, for the noise
        last      the map is not wanted, and x comes back in its place
        """
        height, width = skip.shape[2:]
        rows = height // self.scale
        larger = x if last else new_map(x, self.second.outputs, height, width)
        rgb = new_map(x, 3, height, width)

        def work(band: Band) -> None:
            y0, y1, top, bottom = (self.scale * edge for edge in band)
            part = Box(window.x0, window.y0 + top, window.x1, window.y0 + bottom)
            y = self.first(x[:, :, band.top : band.bottom], part)
            y = self.second(y.add_(skip[:, :, top:bottom]), part)[:, :, y0 - top : y1 - top]
            rgb[:, :, y0:y1] = self.to_rgb(y)
            if image is not None:
                rgb[:, :, y0:y1] += doubled(image[:, :, band.top : band.bottom])[:, :, y0 - top : y1 - top]
            if not last:
                larger[:, :, y0:y1] = y

        in_bands(work, rows, self.scale * width * self.first.outputs, x.device)
        return larger, rgb


class FoldedUnit(nn.Module):
    """`SeparableConv2d` with its gains in the weights."""

    def __init__(self, unit: SeparableConv2d) -> None:
        super().__init__()
        assert unit.conv1.bias is not None
        self.resample = "down" if unit.downsample else "up" if unit.upsample else "keep"
        self.outputs = unit.conv2.out_channels
        self.pointwise = FoldedPointwise(unit.conv2, gain=GAIN)
        self.register_buffer("weight", unit.conv1.weight.detach() * GAIN)
        self.register_buffer("bias", unit.conv1.bias.detach() * GAIN)
        self.register_buffer("filter", binomial_filter(unit.conv1.weight[:, 0][None]).contiguous())
        noise = unit.get_buffer("noise_const") * unit.noise_strength.detach() * GAIN if unit.has_noise else None
        self.register_buffer("noise", noise)

    def forward(self, x: Tensor, window: Box | None = None) -> Tensor:
        """`window` is where the result lies on the whole map, for units with noise."""
        channels = x.shape[1]
        x = activate_(F.conv2d(x, self.get_buffer("weight"), self.get_buffer("bias"), padding=1, groups=channels))
        if self.resample == "down":
            x = F.conv2d(x, self.get_buffer("filter"), stride=2, padding=1, groups=channels)
        x = self.pointwise(x)
        x = doubled(x) if self.resample == "up" else x
        if window is not None and self.noise is not None:
            x.add_(repeated(self.get_buffer("noise"), window))
        return activate_(x)


class FoldedPointwise(nn.Module):
    """A 1x1 convolution as a product over the channels, which lie last in memory."""

    def __init__(self, conv: nn.Conv2d, *, gain: float = 1.0) -> None:
        super().__init__()
        self.bias: Tensor | None
        self.register_buffer("weight", conv.weight.detach().flatten(1) * gain)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach() * gain)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.get_buffer("weight"), self.bias).permute(0, 3, 1, 2)


def in_bands(work: Callable[[Band], None], rows: int, values_per_row: int, device: torch.device) -> None:
    """Does the work for every band of a map's rows; for all of it at once on a GPU."""
    height = max(2 * BAND_MARGIN, BAND_VALUES // values_per_row) if device.type == "cpu" else rows
    for_each(work, bands(rows, height, BAND_MARGIN))


def doubled(x: Tensor) -> Tensor:
    """`network.Upsample`: interpolation repeats the border where the filter takes zeros, a quarter of its weight."""
    x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    for edge in (x[:, :, :1], x[:, :, -1:], x[:, :, :, :1], x[:, :, :, -1:]):
        edge.mul_(0.75)
    return x


def repeated(noise: Tensor, window: Box) -> Tensor:
    """The part of an endless repetition of a square map that a window shows."""
    rows = torch.arange(window.y0, window.y1, device=noise.device) % noise.shape[0]
    columns = torch.arange(window.x0, window.x1, device=noise.device) % noise.shape[1]
    return noise[rows[:, None], columns]


def activate_(x: Tensor) -> Tensor:
    """Leaky ReLU and clamp, in place; the gain is in the weights."""
    return F.leaky_relu_(x, SLOPE).clamp_(-LIMIT, LIMIT)


def new_map(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Memory for a map, in the format of another."""
    layout = devices.map_layout(like.device.type)
    return torch.empty(1, channels, height, width, dtype=like.dtype, device=like.device, memory_format=layout)
