"""Which tensors of a file are the ones a network asks for, whatever prefix its publisher saved them under."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import WeightsCorrupted
from ..registry import Families, TensorShapes

_logger = logging.getLogger(__name__)

_PREFERRED = ("G_ema.", "params_ema.", "ema.", "state_dict.")
"""Where two copies of a network are in one file, the averaged one is for inference."""

_COUNTER = "num_batches_tracked"
"""BatchNorm's training counter: not used in inference, and some converters leave it out."""


def matching(found: TensorShapes, expected: TensorShapes, name: str, families: Families) -> dict[str, str]:
    """Expected key -> key in the file, under the one prefix where all of them exist with the right shapes.

    A file with fewer leading parts than expected is understood too.
    Raises `WeightsCorrupted` when there is none, saying which of the families the file looks like.
    """
    required = {key: shape for key, shape in expected.items() if not key.endswith(_COUNTER)}
    places = next(filter(None, (_places(found, required, cut) for cut in _common_beginnings(required))), None)
    if places is None:
        raise WeightsCorrupted(_nothing_fits(found, required, name, families))
    fitting = [place for place in places if all(found[place.of(key)] == required[key] for key in required)]
    if not fitting:
        raise WeightsCorrupted(_wrong_shapes(found, required, places[0], name))
    place = _preferred(fitting, next(iter(required)), name)
    chosen = {key: place.of(key) for key in expected if key in required or place.of(key) in found}
    if extra := sorted(set(found) - set(chosen.values())):
        _logger.debug("%s: %d tensors are not used, such as %s", name, len(extra), extra[0])
    return chosen


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a network lies in a file: its keys lose the beginning `cut` and get `start`."""

    cut: str
    start: str

    def of(self, key: str) -> str:
        """The key in the file."""
        return self.start + key[len(self.cut) :]


def looks_like(keys: Iterable[str], families: Families) -> str:
    """A guess at what a file is, to help someone who picked the wrong one; empty when there is no guess."""
    keys = tuple(keys)
    return next((name for name, marks in families.items() if any(mark in key for key in keys for mark in marks)), "")


def _common_beginnings(expected: Iterable[str]) -> list[str]:
    """Dotted beginnings shared by all keys, the shortest first: "", "model.", ..."""
    columns = zip(*(key.split(".")[:-1] for key in expected), strict=False)
    shared = [words[0] for words in itertools.takewhile(lambda words: len(set(words)) == 1, columns)]
    return ["", *(".".join(shared[:depth]) + "." for depth in range(1, 1 + len(shared)))]


def _places(found: TensorShapes, expected: TensorShapes, cut: str) -> list[_Place]:
    """Every dotted prefix under which all the expected keys, shortened by `cut`, are found."""
    longest = max(expected, key=len)[len(cut) :]
    starts = sorted({key[: -len(longest)] for key in found if key.endswith(longest)})
    places = [_Place(cut, start) for start in starts if not start or start.endswith(".")]
    return [place for place in places if all(place.of(key) in found for key in expected)]


def _preferred(fitting: list[_Place], sample: str, name: str) -> _Place:
    """The only one, or the averaged one. `sample` is a key to name the others by."""
    if len(fitting) == 1:
        return fitting[0]
    for start in _PREFERRED:
        inside = [place for place in fitting if place.start.startswith(start)]
        if len(inside) == 1:
            return inside[0]
    examples = " and ".join(place.of(sample) for place in fitting[:2])
    raise WeightsCorrupted(
        f"{name} holds {len(fitting)} networks of the expected form ({examples}). Use a file that holds one."
    )


def _nothing_fits(found: TensorShapes, expected: TensorShapes, name: str, families: Families) -> str:
    wanted, guess = looks_like(expected, families), looks_like(found, families)
    if guess and guess != wanted:
        return f"{name} looks like {guess}" + (f", but {wanted} was expected." if wanted else ", not like this model.")
    missing = next((key for key in expected if not any(other.endswith(key) for other in found)), next(iter(expected)))
    kind = f" It looks like {guess}, of another size or version." if guess else ""
    there = f"{len(found)} tensors" if found else "no tensors"
    return f"{name} holds {there}, but not all of the {len(expected)} expected: {missing} is missing.{kind}"


def _wrong_shapes(found: TensorShapes, expected: TensorShapes, place: _Place, name: str) -> str:
    wrong = [key for key in expected if found[place.of(key)] != expected[key]]
    key = wrong[0]
    return (
        f"{name} is a model of another size: {place.of(key)} is {found[place.of(key)]}, expected {expected[key]} "
        f"({len(wrong)} of {len(expected)} tensors differ)."
    )
