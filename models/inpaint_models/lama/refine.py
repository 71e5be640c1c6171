"""Feature refinement: coarse-to-fine optimisation of LaMa's features, for holes larger than those it was trained on.

Paper: Kulshreshtha, Pugh, Jiddi, "Feature Refinement to Improve High Resolution Image Inpainting", 2022. Original code:
https://github.com/geomagical/lama-with-refiner (Apache-2.0).

LaMa fills well at the size it was trained at and loses structure on larger images. So the image is filled at a coarse
size first; at each finer size the features between the network's front and rear are then optimised until the fill,
shrunk to the coarser size, looks like the coarser fill. The weights stay as they are. Our words and the paper's: level
= scale, front and rear = f_front and f_rear, features = z.

Different from the original: the result of an image over the pixel budget is brought back to the image's size, work is
reported and can be stopped between residual blocks, and where memory is short the activations of the blocks are not
kept for the backward pass but computed a second time (gradient checkpointing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..nn.ffc import Branches
from .inference import FoldedGenerator
from .network import FFCResNetGenerator, masked_input

MODULO = 8
"""The network's sides are multiples of this."""

_EPSILON = 1e-8
_BLUR_SIGMA = 1.0
_BLUR_RADIUS = 2
_EROSION_RADIUS = 7
_FORWARD, _RECORDED, _BACKWARD = 2, 5, 3
"""What a block costs: a forward pass, one that records gradients, which the fastest convolutions cannot, and a backward
pass. Measured on two cores; a wrong ratio would only make the estimate of the time left change on the way."""
_UPSAMPLING = 4
"""What the upsampling part costs, in blocks."""


Generator = FFCResNetGenerator | FoldedGenerator
"""Readable or fast: front, residual blocks, upsampling part."""


@dataclass(frozen=True, slots=True)
class RefinementSettings:
    """The numbers of the method, with the authors' values.

    iterations  passes through the rear part at every scale but the coarsest
    scales      at most so many sizes, each half of the next finer one
    budget_px   larger images are shrunk to this area first
    min_side    the shorter side of the coarsest size is about this
    """

    iterations: int = 15
    scales: int = 3
    budget_px: int = 1_800_000
    min_side: int = 512
    learning_rate: float = 0.002


@dataclass(frozen=True, slots=True)
class RefinementLevel:
    """An image of the pyramid and its hole: (1, 3, h, w) in [0, 1] and (1, 1, h, w) in {0, 1}."""

    image: Tensor
    mask: Tensor

    @property
    def area(self) -> int:
        return self.image.shape[2] * self.image.shape[3]


@dataclass(frozen=True, slots=True)
class RefinementStep:
    """Where the refinement stands after one pass.

    done, total  work, in halves of what a block costs at the coarsest size: equal steps take about equal time, so that
                 the time left can be told from the time spent
    image        the fill so far, (1, 3, h, w) in [0, 1], at the size of the level being worked at
    loss         what the optimisation lowers; 0 for the coarsest level, which is not optimised
    """

    done: int
    total: int
    image: Tensor
    loss: Tensor


class _Work:
    """Counts what is done and tells it, as `RefinementStep` explains."""

    def __init__(self, total: int, report: Callable[[int, int], None]) -> None:
        self.done, self.total = 0, total
        self._report = report

    def begins(self, cost: int) -> None:
        """The next thing to be done costs so much."""
        self._report(self.done, self.total)
        self.done += cost


def refine(
    network: Generator,
    image: Tensor,
    mask: Tensor,
    *,
    settings: RefinementSettings,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    keep_activations: bool = True,
) -> Iterator[RefinementStep]:
    """Fill and refine an image; the last step's image is the result at the working size (see `at_size_of`).

    image             (1, 3, H, W) RGB in [0, 1], at least 16 x 16
    mask              (1, 1, H, W), 1 = hole
    report            called between residual blocks, forward and backward, with `done` and `total` of a
                      `RefinementStep`; may raise to stop
    keep_activations  each block's, for the backward pass; computing them a second time (gradient checkpointing) needs a
                      fraction of the memory and half as much time again
    """
    levels = pyramid(image, mask, settings)
    shares = [round(level.area / levels[0].area) for level in levels]
    finer = sum(shares[1:])
    optimising = finer * (settings.iterations - 1) * (_RECORDED + _BACKWARD)
    work = _Work((network.n_blocks + _UPSAMPLING) * (_FORWARD * (1 + finer) + optimising), report)
    result = _single_pass(network, levels[0], work)
    yield RefinementStep(work.done, work.total, result, torch.zeros(()))
    for level, share in zip(levels[1:], shares[1:], strict=True):
        coarser = result
        passes = _optimised(network, level, coarser, share, work, settings=settings, keep_activations=keep_activations)
        for result, loss in passes:
            yield RefinementStep(work.done, work.total, result, loss)


def at_size_of(image: Tensor, mask: Tensor, refined: Tensor) -> Tensor:
    """A step's image brought to the size of the image it began with; known pixels are those of `image`."""
    if refined.shape[2:] != image.shape[2:]:
        refined = _resized(refined, (image.shape[2], image.shape[3]))
    return _composite(refined, image, mask)


def pyramid(image: Tensor, mask: Tensor, settings: RefinementSettings) -> list[RefinementLevel]:
    """The image at every scale, coarsest first."""
    sizes = working_sizes(image.shape[2], image.shape[3], settings)
    if sizes[-1] != image.shape[2:]:
        image = _resized(image, sizes[-1])
        mask = (_resized(mask, sizes[-1]) > _EPSILON).to(image.dtype)
    levels = [RefinementLevel(image, mask)]
    for _ in sizes[1:]:
        finer = levels[0]
        levels.insert(0, RefinementLevel(halved(finer.image), (halved(finer.mask) >= _EPSILON).to(image.dtype)))
    return levels


def halved(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, h // 2, w // 2): a small Gaussian blur, then bilinear."""
    return _resized(_blurred(x), (x.shape[2] // 2, x.shape[3] // 2))


def trusted(mask: Tensor) -> Tensor:
    """Where the coarser fill is the target: deep inside the hole, at half the size of `mask`; (1, 1, h, w) bool.

    The rim is left out because there the finer image shows more of what is known: the hole is eroded by a 15 x 15
    ellipse. What lies outside the image counts as hole.
    """
    inside = _resized(mask, (mask.shape[2] // 2, mask.shape[3] // 2)) >= 1 - _EPSILON
    outside = F.pad((~inside).float(), (_EROSION_RADIUS,) * 4)
    return F.conv2d(outside, _ellipse(_EROSION_RADIUS).to(mask.device)[None, None]) == 0


def working_sizes(height: int, width: int, settings: RefinementSettings) -> list[tuple[int, int]]:
    """(height, width) of every level of an image of that size, coarsest first; with one there is nothing to refine."""
    ratio = min(1.0, math.sqrt(settings.budget_px / (height * width)))
    height, width = int(height * ratio), int(width * ratio)
    doublings = max(0.0, math.log2(min(height, width) / settings.min_side))
    count = min(1 + round(doublings), settings.scales)
    return [(height >> level, width >> level) for level in reversed(range(count))]


def _single_pass(network: Generator, level: RefinementLevel, work: _Work) -> Tensor:
    """The coarsest level: what the network says."""
    padded = _padded(level)
    with torch.no_grad():
        features = network.front(masked_input(padded.image, padded.mask))
        predicted = _rear(network, features, 1, work, keep_activations=True)
    return _finished(predicted, level)


def _optimised(
    network: Generator,
    level: RefinementLevel,
    coarser: Tensor,
    share: int,
    work: _Work,
    *,
    settings: RefinementSettings,
    keep_activations: bool,
) -> Iterator[tuple[Tensor, Tensor]]:
    """A finer level: its features, changed until their fill agrees with the coarser one. Yields (image, loss).

    share  the level's area in areas of the coarsest level
    """
    padded = _padded(level)
    with torch.no_grad():
        features = network.front(masked_input(padded.image, padded.mask))
    features = Branches(*(part.clone().requires_grad_() for part in features))
    optimiser = torch.optim.Adam(features, lr=settings.learning_rate)
    target = trusted(level.mask)
    for iteration in range(settings.iterations):
        last = iteration == settings.iterations - 1
        with torch.set_grad_enabled(not last):
            predicted = _rear(network, features, share, work, keep_activations=keep_activations)
            loss = _loss(predicted, level, padded, coarser, target)
        if not last:
            work.begins(share * _UPSAMPLING * _BACKWARD)
            for part, gradient in zip(features, torch.autograd.grad(loss, features), strict=True):
                part.grad = gradient
            optimiser.step()
        yield _finished(predicted.detach(), level), loss.detach()


def _rear(network: Generator, features: Branches, share: int, work: _Work, *, keep_activations: bool) -> Tensor:
    """Blocks and upsampling part; work is reported before each block in both directions."""
    cost = share * (_RECORDED if features.local.requires_grad and torch.is_grad_enabled() else _FORWARD)
    for index in range(network.n_blocks):
        work.begins(cost)
        if keep_activations or not torch.is_grad_enabled():
            features = network.block(index, features)
        else:
            features = checkpoint(network.block, index, features, use_reentrant=False, preserve_rng_state=False)
        if features.local.requires_grad:
            features.local.register_hook(lambda _: work.begins(share * _BACKWARD))
    work.begins(_UPSAMPLING * cost)
    return network.upsample(features)


def _loss(
    predicted: Tensor, level: RefinementLevel, padded: RefinementLevel, coarser: Tensor, target: Tensor
) -> Tensor:
    """Disagreement with the known pixels, padding included, and with the coarser fill where that is trusted."""
    height, width = level.image.shape[2:]
    known = (padded.mask < _EPSILON).expand_as(predicted)
    loss = (predicted - padded.image).abs()[known].mean()
    if target.any():
        shrunk = halved(predicted[..., :height, :width])
        loss = loss + (shrunk - coarser).abs()[target.expand_as(coarser)].mean()
    return loss


def _finished(predicted: Tensor, level: RefinementLevel) -> Tensor:
    """The prediction without its padding, under the level's known pixels."""
    height, width = level.image.shape[2:]
    return _composite(predicted[..., :height, :width], level.image, level.mask)


def _composite(fill: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    return mask * fill + (1 - mask) * image


def _padded(level: RefinementLevel) -> RefinementLevel:
    """Reflected at the bottom and right to sides the network takes."""
    height, width = level.image.shape[2:]
    pad = (0, -width % MODULO, 0, -height % MODULO)
    return RefinementLevel(F.pad(level.image, pad, mode="reflect"), F.pad(level.mask, pad, mode="reflect"))


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def _blurred(x: Tensor) -> Tensor:
    """Gaussian of 5 x 5 taps, sigma 1, reflected borders."""
    taps = torch.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1, dtype=x.dtype, device=x.device)
    line = torch.exp(-(taps**2) / (2 * _BLUR_SIGMA**2))
    line = line / line.sum()
    channels = x.shape[1]
    kernel = torch.outer(line, line).expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(x, (_BLUR_RADIUS,) * 4, mode="reflect"), kernel, groups=channels)


def _ellipse(radius: int) -> Tensor:
    """The disc of OpenCV's MORPH_ELLIPSE: in row y, columns up to round(sqrt(radius^2 - y^2)) from the middle."""
    offsets = torch.arange(-radius, radius + 1)
    half_widths = torch.tensor([round(math.sqrt(radius**2 - int(y) ** 2)) for y in offsets])
    return (offsets.abs()[None, :] <= half_widths[:, None]).float()
