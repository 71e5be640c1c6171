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


def redrawer(path: Path) -> Path:
    """As GFPGAN's file: (1, 3, 512, 512) in [-1, 1] to the same, here the negative."""
    sides = [1, 3, 512, 512]
    return write(path, [helper.make_node("Neg", ["input"], ["output"])], {}, {"input": sides}, {"output": sides})


_EYES_AND_MOUTH = (-0.4, -0.4, 0.4, -0.4, 0.0, 0.0, -0.3, 0.4, 0.3, 0.4)


def face_finder(path: Path, size_px: float) -> Path:
    """As YuNet's file: there is a face wherever 32 pixels are bright in the mean, of that size and upright.

    For each stride it gives a score twice, a box and five points: strides 8 and 16 never see any.
    """
    nodes, constants, outputs = list[onnx.NodeProto](), dict[str, np.ndarray](), dict[str, Sequence[Side]]()
    for stride in (8, 16, 32):
        sure = 1.0 if stride == 32 else 0.0
        half = np.float32(size_px / stride)
        box = np.array([0.5, 0.5, np.log(half), np.log(half)], np.float32)
        points = np.array([0.5 + half * at for at in _EYES_AND_MOUTH], np.float32)
        kernel = np.full((1, 3, stride, stride), sure / (3 * 255 * stride**2), np.float32)
        constants |= {f"k{stride}": kernel, f"box{stride}": box, f"points{stride}": points}
        nodes.append(helper.make_node("Conv", ["input", f"k{stride}"], [f"map{stride}"], strides=[stride, stride]))
        for name in ("cls", "obj"):
            nodes.append(helper.make_node("Reshape", [f"map{stride}", "column"], [f"{name}_{stride}"]))
        nodes.append(helper.make_node("Mul", [f"cls_{stride}", "zero"], [f"none{stride}"]))
        nodes.append(helper.make_node("Add", [f"none{stride}", f"box{stride}"], [f"bbox_{stride}"]))
        nodes.append(helper.make_node("Add", [f"none{stride}", f"points{stride}"], [f"kps_{stride}"]))
        for name, values in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = [1, "n" + str(stride), values]
    constants |= {"column": np.array([1, -1, 1], np.int64), "zero": np.zeros(1, np.float32)}
    return write(path, nodes, constants, {"input": [1, 3, "height", "width"]}, outputs)
