"""Networks of a few values, in files of ONNX with the inputs and outputs of published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

Side = int | str


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    inputs: Mapping[str, Sequence[Side]],
    outputs: Mapping[str, Sequence[Side]],
) -> Path:
    """A file of that graph; all inputs and outputs are float32."""
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def matte(path: Path, side: int) -> Path:
    """As U2-Net's file: (1, 3, side, side) to (1, 1, side, side), blurred brightness."""
    kernel = np.full((1, 3, 5, 5), 1 / 75, np.float32)
    node = helper.make_node("Conv", ["input.1", "kernel"], ["made"], pads=[2, 2, 2, 2])
    return write(path, [node], {"kernel": kernel}, {"input.1": [1, 3, side, side]}, {"made": [1, 1, side, side]})


def enlarger(path: Path, scale: int, sides: Sequence[Side] = ("h", "w")) -> Path:
    """As Real-ESRGAN's file: every pixel becomes scale * scale of its colour, a little bent by its neighbours."""
    rng = np.random.default_rng(scale)
    kernel = 0.02 * rng.standard_normal((3 * scale**2, 3, 3, 3)).astype(np.float32)
    for channel in range(3 * scale**2):
        kernel[channel, channel % 3, 1, 1] += 1
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["deep"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["deep"], ["large"], blocksize=scale, mode="DCR"),
    ]
    return write(path, nodes, {"kernel": kernel}, {"image": [1, 3, *sides]}, {"large": [1, 3, "H", "W"]})
