"""Reads FaceNet's weights out of a frozen TensorFlow graph, without TensorFlow.

David Sandberg's FaceNet is published as a GraphDef, a Protocol Buffers message whose nodes of the kind `Const` carry
the weights. Reading those takes the few fields named below (graph.proto, node_def.proto, attr_value.proto, tensor.proto
in tensorflow/core/framework), and nothing in the file is run. The graph's names are then turned into those of
facenet-pytorch's InceptionResnetV1.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]

_GRAPH_NODE = 1
_NODE_NAME, _NODE_OP, _NODE_ATTR = 1, 2, 5
_ENTRY_KEY, _ENTRY_VALUE = 1, 2  # of a map field
_ATTR_TENSOR = 8
_TENSOR_DTYPE, _TENSOR_SHAPE, _TENSOR_CONTENT = 1, 2, 4
_SHAPE_DIM, _DIM_SIZE = 2, 1
_DT_FLOAT = 1

_BN_EPSILON = 0.001
_STAGES = {"Repeat": "repeat_1", "Repeat_1": "repeat_2", "Repeat_2": "repeat_3"}


def facenet_arrays(graph: bytes) -> Arrays:
    """The state_dict of InceptionResnetV1 (no logits) held by a frozen graph with folded BatchNorm, as float32 arrays.

    Raises ValueError or KeyError when the bytes are not such a graph.
    """
    constants = {name.removeprefix("InceptionResnetV1/"): array for name, array in float_constants(graph)}
    arrays: Arrays = {}
    for scope, layer in _layer_names(constants).items():
        weights = constants[f"{scope}/weights"].transpose(3, 2, 0, 1)  # height, width, in, out → out, in, height, width
        if f"{scope}/biases" in constants:
            arrays |= {f"{layer}.weight": weights, f"{layer}.bias": constants[f"{scope}/biases"]}
        else:
            arrays[f"{layer}.conv.weight"] = weights
            arrays |= _folded_norm(f"{layer}.bn", constants[f"{scope}/Conv2D_bn_offset"])
    arrays["last_linear.weight"] = constants["Bottleneck/weights"].T
    norm = "Bottleneck/BatchNorm"
    arrays |= _folded_norm("last_bn", constants[f"{norm}/beta"])
    arrays["last_bn.running_mean"] = constants[f"{norm}/moving_mean"]
    arrays["last_bn.running_var"] = constants[f"{norm}/moving_variance"]
    return {name: np.array(array, dtype=np.float32, order="C") for name, array in arrays.items()}


def _folded_norm(layer: str, offset: NDArray[np.float32]) -> Arrays:
    """A BatchNorm whose scale already sits in the weights before it: all it has left to do is add `offset`."""
    one = np.ones_like(offset)
    return {
        f"{layer}.weight": one,
        f"{layer}.bias": offset,
        f"{layer}.running_mean": 0 * one,
        f"{layer}.running_var": one - _BN_EPSILON,  # the layer divides by sqrt(var + epsilon)
    }


def _layer_names(constants: Arrays) -> dict[str, str]:
    """Scope of every convolution in the graph → its name in InceptionResnetV1.

    Repeat_1/block17_3/Branch_1/Conv2d_0b_1x7 → repeat_2.2.branch1.1
    """
    branches = defaultdict(list)
    for name in sorted(constants):  # within a branch, the letters 0a, 0b, 0c, 1a sort in the order of execution
        scope, _, kind = name.rpartition("/")
        if kind == "weights" and scope != "Bottleneck":
            place, _, convolution = scope.rpartition("/")
            branches[place].append(convolution)

    layers = {}
    for place, convolutions in branches.items():
        parts = [_part(part) for part in place.split("/") if part]
        for at, convolution in enumerate(convolutions):
            if not parts:  # the stem: Conv2d_1a_3x3 → conv2d_1a
                layers[convolution] = convolution.lower().rpartition("_")[0]
            elif not parts[-1].startswith("branch"):  # a residual block's projection, after its branches
                layers[f"{place}/{convolution}"] = ".".join([*parts, "conv2d"])
            else:
                index = [str(at)] if len(convolutions) > 1 else []  # a lone convolution stands without a Sequential
                layers[f"{place}/{convolution}"] = ".".join([*parts, *index])
    return layers


def _part(part: str) -> str:
    if part in _STAGES:
        return _STAGES[part]
    if repeated := re.fullmatch(r"block\d+_(\d+)", part):
        return str(int(repeated[1]) - 1)
    return part.lower().replace("branch_", "branch")


def float_constants(graph: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and value of every float constant of a GraphDef that is stored as raw bytes, in the file's order."""
    for number, node in _fields(memoryview(graph)):
        if number != _GRAPH_NODE:
            continue
        name = op = ""
        value = memoryview(b"")
        for field, content in _fields(node):
            if field == _NODE_NAME:
                name = str(content, "utf-8")
            elif field == _NODE_OP:
                op = str(content, "utf-8")
            elif field == _NODE_ATTR and op == "Const":
                entry = dict(_fields(content))
                if bytes(entry[_ENTRY_KEY]) == b"value":
                    value = entry[_ENTRY_VALUE]
        if not value:
            continue
        tensor = dict(_fields(dict(_fields(value))[_ATTR_TENSOR]))
        if bytes(tensor[_TENSOR_DTYPE]) == bytes([_DT_FLOAT]) and _TENSOR_CONTENT in tensor:
            dims = (dict(_fields(dim)) for field, dim in _fields(tensor[_TENSOR_SHAPE]) if field == _SHAPE_DIM)
            shape = [_varint(dim[_DIM_SIZE], 0)[0] for dim in dims]
            yield name, np.frombuffer(tensor[_TENSOR_CONTENT], dtype="<f4").reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and raw content of each field of a message; raises ValueError where the message is cut short."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:  # varint
            start = at
            _, at = _varint(message, at)
        elif wire == 2:  # length, then that many bytes
            length, start = _varint(message, at)
            at = start + length
        elif wire in (1, 5):  # eight or four bytes
            start, at = at, at + (8 if wire == 1 else 4)
        else:
            raise ValueError(f"wire type {wire} at byte {at} is none of Protocol Buffers'")
        if at > len(message):
            raise ValueError("a field reaches past the message's end")
        yield key >> 3, message[start:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that starts at byte `at`, seven bits a byte, and where the next byte is."""
    number = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at
    raise ValueError("a number is cut short")
