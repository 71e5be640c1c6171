"""The constants of the algorithm, with what each was chosen by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PatchMatchSettings:
    """Distances in pixels of the level at hand, colours in levels of 255."""

    # Pyramid: halve until the deepest hole pixel is this near to a known one (then an 8x8 patch at the centre of the
    # hole still shows something of the surroundings), but keep enough picture to find patches in.
    reach_px: float = 4.0
    coarsest_side_px: int = 48
    max_pixels: int = 4_000_000  # larger crops are solved at half, quarter, ... size and copied at full size
    max_side: int = 32_000  # matches are stored as int16

    # Rounds of match and vote. The coarsest level decides the structure, so it gets most; the rest only refine.
    rounds_coarsest: int = 10
    rounds_coherent: int = 2  # the last of these, after the hole was copied in regions of one offset (regions.py)
    rounds_small: int = 4
    rounds_large: int = 5
    rounds_full: int = 3
    rounds_huge: int = 2  # on levels of more than huge_pixels, which take most of the time of a large crop
    huge_pixels: int = 500_000
    rounds_rim: int = 2  # at the end, next to the known pixels, where regions were copied
    sweeps_rim: int = 2
    sweeps: int = 3  # PatchMatch sweeps per round (Barnes et al. 2009, 3.2: alternating scan order)
    small_pixels: int = 40_000  # on levels up to this size any better match counts;
    keep: float = 0.6  # on larger ones, deep in the hole, only one that costs less than this share of the present

    # Cost of a displacement between a patch and its match, per squared hundredth of the level's longer side and per
    # patch edge: floors stay low and skies high, and the left of a scene may well continue its right. Strokes and spots
    # see what is on all sides of them, and take the horizontal one for both: a pole is bridged like a wire.
    vertical_prior: float = 3.0
    horizontal_prior: float = 0.75

    # What a source costs per pixel (statistics.py): times its squared distance to what is beside the hole, which
    # counts up to a limit. Without it skin and hair stray onto walls. Thin strokes go without: they cross things that
    # show only a little beside them, and their patches see both sides (PSNR 0.7 to 1.4 dB higher on photos).
    strange: int = 2
    strangest: int = 3600
    overuse: float = 0.03  # and for each use more than needed, times the patch's squared texture strength

    # Voting (Wexler et al. 2007, 3.2; Newson et al. 2014, 3.3)
    sharpness: float = 2.0  # how much similar patches outvote dissimilar ones
    # How much patches near the border outvote deeper ones, per pixel of distance up to a limit. Without it fills are
    # blurred; without the limit what is at the border grows into large holes in blocks. There is no limit in strokes
    # and in a picture that repeats itself (statistics.py), which is brought into step all the way inwards. On the
    # coarsest level, which decides on the structure, all count alike.
    inward: float = 0.5
    inward_px: float = 4.0
    inward_stroke: float = 0.9
    periodic: float = 0.7  # walls and fences are at 0.2 to 0.5, other photos over 0.8
    rounds_periodic: int = 12  # instead of rounds_small
    max_distance: float = 40.0  # larger distances count as this; exp(-0.9 * 40) is still a normal float32

    # Whether whole regions take one offset (regions.py): lines stay lines and texture sharp in large holes. Strokes
    # and spots are filled better patch by patch, and in half the time.
    regions: bool = True
    rim_px: float = 16.0  # so near to the known pixels each patch is chosen by itself after all
    lines: bool = True  # whether they are sought on the coarsest level; thin strokes are bridged without

    # What a hole is, at full size. The mean depth of a stroke is a quarter of its width; where strokes cross, more.
    thin_px: float = 8.0
    stroke_px: float = 12.0
    spot_pixels: int = 10_000  # or a short wide stroke: one of 60 pixels is up to 120 long

    # Seams. Colour steps that both copies agree on within `edge` are seams, and evened out; larger ones are edges.
    edge: float = 140.0
    screen: float = 0.02  # pull towards the copied colours: a step is spread over about 7 pixels, not over a sky
    relaxations: int = 50  # leave a tenth of a level at most, of 255
