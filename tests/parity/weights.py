"""Synthetic weights that anybody can regenerate from a key, a shape and a rule (numpy only).

The published weights are too large for a test suite, so the stored reference outputs were made with these instead:
every tensor is a pure function of (key, shape, rule). The bits come from a SplitMix64 stream whose seed is the first
eight bytes (little endian) of sha256("<key>|<d0>x<d1>x..."); no library's random generator takes part, so the values
are the same for every machine, numpy version and order of calls.

A network that loads these tensors under the published key names and reproduces the stored outputs computes what the
reference computes, and does so with the published weights too.

    manifest = weights.read_manifest("lama")                 # tests/parity/lama/manifest.json
    tensors = weights.state_dict(manifest, "generator")      # {published key: ndarray}

A rule is a short list, one per key under "gen":

    ["normal", std], ["normal", std, mean]
    ["uniform", lo, hi]
    ["full", value]                 a constant (integer dtypes as well)
    ["fir", taps, gain]             outer(taps, taps) / sum * gain, broadcast
    ["shift_mask", H, W, win, s]    0 / -100 mask of shifted windows
    ["sinusoid"]                    a table of positions: sines in the first half of each row, cosines in the other
    ["tril"]                        ones on and below the diagonal
    ["linspace", lo, hi]            evenly spaced, both ends included
    ["ddpm", start, end, which]     a buffer of a diffusion schedule
    ["same_as", other_key]          a copy of another key of the manifest
    ["sn", part, weight_key, axis]  leading singular vector, "u" or "v", of a weight with that axis first

"normal" is the sum of the four 16-bit lanes of one 64-bit draw, centred and scaled to unit variance (an Irwin-Hall
variable, |x| <= 3.47 std): integer arithmetic, hence exact everywhere.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent

Manifest = Mapping[str, Any]
Array = NDArray[Any]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = (
    1 << 15
)  # draws at a time: the working set stays in the second-level cache, which is 1.7 times faster than 1 << 22
_LANE_STD = math.sqrt((65536.0**2 - 1.0) / 3.0)


def read_manifest(name: str) -> Manifest:
    """The manifest of a folder next to this file: {"tensors": {section: {key: {"shape", "dtype", "gen"}}}}."""
    manifest: Manifest = json.loads((FOLDER / name / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def shapes(manifest: Manifest, section: str) -> dict[str, tuple[int, ...]]:
    """Published key -> shape, for every tensor of a section."""
    return {key: tuple(entry["shape"]) for key, entry in manifest["tensors"][section].items()}


def state_dict(manifest: Manifest, section: str, keys: Iterable[str] | None = None) -> dict[str, Array]:
    """All tensors of one section as {key: ndarray}, or those of `keys`. Rules may refer to other sections' keys."""
    sections = manifest["tensors"]
    entries = sections[section]

    def build(key: str) -> Array:
        entry = entries.get(key) or next(other[key] for other in sections.values() if key in other)
        return tensor(key, entry["shape"], entry["gen"], entry.get("dtype", "float32"), build)

    return {key: build(key) for key in (entries if keys is None else keys)}


def tensor(
    name: str,
    shape: Iterable[int],
    rule: list[Any],
    dtype: str = "float32",
    lookup: Callable[[str], Array] | None = None,
) -> Array:
    """One tensor; `lookup(key)` serves the rule that refers to another key."""
    shape = tuple(shape)
    kind, args = rule[0], rule[1:]
    if kind == "normal":
        out = normal(name, shape, *args)
    elif kind == "uniform":
        out = uniform(name, shape, *args)
    elif kind == "full":
        out = np.full(shape, args[0])
    elif kind == "fir":
        out = fir(shape, *args)
    elif kind == "lattice":
        out = lattice(shape)
    elif kind == "shift_mask":
        out = shift_mask(*args)
    elif kind == "sinusoid":
        out = sinusoid(*shape)
    elif kind == "tril":
        out = np.tril(np.ones(shape))
    elif kind == "linspace":
        out = np.linspace(args[0], args[1], math.prod(shape))
    elif kind == "ddpm":
        out = ddpm(*args)
    elif kind == "same_as" and lookup is not None:
        out = lookup(args[0])
    elif kind == "sn" and lookup is not None:
        out = singular(lookup(args[1]), args[0], args[2])
    else:
        raise ValueError(f"Unknown rule {kind!r} for {name}.")
    return np.ascontiguousarray(out, dtype=dtype).reshape(shape)


def seed(name: str, shape: tuple[int, ...]) -> int:
    """The 64-bit seed of a key's stream."""
    text = f"{name}|{'x'.join(map(str, shape))}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "little")


def bits(stream: int, start: int, count: int) -> NDArray[np.uint64]:
    """`count` SplitMix64 outputs of a stream, from output number `start`."""
    with np.errstate(over="ignore"):
        z = np.arange(start + 1, start + count + 1, dtype=np.uint64)
        z *= _GOLDEN
        z += np.uint64(stream)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return z


def normal(name: str, shape: tuple[int, ...], std: float = 1.0, mean: float = 0.0) -> Array:
    scale = std / _LANE_STD

    def convert(z: NDArray[np.uint64]) -> Array:
        lanes = z.view(np.uint16).reshape(-1, 4)
        total = lanes[:, 0].astype(np.int32) + lanes[:, 1] + lanes[:, 2] + lanes[:, 3]
        return (total - 131070).astype(np.float64) * scale + mean

    return _fill(name, shape, convert)


def uniform(name: str, shape: tuple[int, ...], lo: float = 0.0, hi: float = 1.0) -> Array:
    def convert(z: NDArray[np.uint64]) -> Array:
        return lo + (hi - lo) * ((z >> np.uint64(40)).astype(np.float64) / 16777216.0)

    return _fill(name, shape, convert)


def fir(shape: tuple[int, ...], taps: list[float], gain: float = 1.0) -> Array:
    line = np.asarray(taps, np.float32)
    kernel = np.outer(line, line)
    return np.broadcast_to(kernel / kernel.sum() * np.float32(gain), shape)


def lattice(shape: tuple[int, ...]) -> Array:
    """1 at even rows and columns."""
    out = np.zeros(shape)
    out[..., ::2, ::2] = 1
    return out


def shift_mask(height: int, width: int, window: int, shift: int) -> Array:
    """(windows, tokens, tokens): 0 where two tokens of a shifted window come from one region of the map, else -100."""
    edges = (0, -window, -shift, None)
    label = np.zeros((height, width), np.int64)
    bands = [slice(*pair) for pair in itertools.pairwise(edges)]
    for number, (rows, columns) in enumerate(itertools.product(bands, bands)):
        label[rows, columns] = number
    windows = label.reshape(height // window, window, width // window, window)
    token = windows.transpose(0, 2, 1, 3).reshape(-1, window * window)
    return np.where(token[:, None, :] == token[:, :, None], np.float32(0), np.float32(-100))


def sinusoid(rows: int, width: int) -> Array:
    """Of row p and pair i: sine and cosine of p / 10000^(2 i / width)."""
    angle = np.arange(rows)[:, None] / np.power(10000.0, np.arange(0, width, 2) / width)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def ddpm(start: float, end: float, which: str, steps: int = 1000) -> Array:
    """A buffer of the schedule whose sqrt(beta) is linear from sqrt(start) to sqrt(end)."""
    beta = np.linspace(math.sqrt(start), math.sqrt(end), steps, dtype=np.float64) ** 2
    alpha = 1.0 - beta
    bar = np.cumprod(alpha)
    previous = np.append(1.0, bar[:-1])
    posterior = beta * (1.0 - previous) / (1.0 - bar)
    table: dict[str, NDArray[np.floating[Any]]] = {
        "betas": beta,
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": previous,
        "sqrt_alphas_cumprod": np.sqrt(bar),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1.0 - bar),
        "log_one_minus_alphas_cumprod": np.log(1.0 - bar),
        "sqrt_recip_alphas_cumprod": np.sqrt(1.0 / bar),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1.0 / bar - 1.0),
        "posterior_variance": posterior,
        "posterior_log_variance_clipped": np.log(np.maximum(posterior, 1e-20)),
        "posterior_mean_coef1": beta * np.sqrt(previous) / (1.0 - bar),
        "posterior_mean_coef2": (1.0 - previous) * np.sqrt(alpha) / (1.0 - bar),
    }
    return table[which].astype(np.float32)


def singular(weight: Array, part: str, axis: int, rounds: int = 60) -> Array:
    """By power iteration, in double precision."""
    wide = np.moveaxis(np.asarray(weight, np.float64), axis, 0)
    matrix = wide.reshape(wide.shape[0], -1)
    u = np.ones(len(matrix)) / math.sqrt(len(matrix))
    for _ in range(rounds):
        v = matrix.T @ u
        v /= np.linalg.norm(v)
        u = matrix @ v
        u /= np.linalg.norm(u)
    return u if part == "u" else v


def _fill(name: str, shape: tuple[int, ...], convert: Callable[[NDArray[np.uint64]], Array]) -> Array:
    out = np.empty(math.prod(shape), np.float32)
    stream = seed(name, shape)
    for start in range(0, out.size, _CHUNK):
        count = min(_CHUNK, out.size - start)
        out[start : start + count] = convert(bits(stream, start, count))
    return out.reshape(shape)
