"""Reads FaceNet's weights out of a frozen TensorFlow graph, without TensorFlow.

David Sandberg's FaceNet is published as a GraphDef, a Protocol Buffers message whose nodes of the kind `Const` carry
the weights. Reading those takes the few fields named in _SCHEMA, and nothing in the file is run. The graph's names are
then turned into those of facenet-pytorch's InceptionResnetV1.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]

_SCHEMA = {
    "GraphDef": {"node": (1, "repeated NodeDef")},
    "NodeDef": {"name": (1, "string"), "op": (2, "string"), "attr": (5, "repeated AttrEntry")},
    "AttrEntry": {"key": (1, "string"), "value": (2, "AttrValue")},
    "AttrValue": {"tensor": (8, "TensorProto")},
    "TensorProto": {"dtype": (1, "int32"), "tensor_shape": (2, "TensorShapeProto"), "tensor_content": (4, "bytes")},
    "TensorShapeProto": {"dim": (2, "repeated Dim")},
    "Dim": {"size": (1, "int64")},
}
"""Messages, their fields' numbers and types: of graph.proto, node_def.proto, attr_value.proto, tensor.proto and
tensor_shape.proto in tensorflow/core/framework, what is read here; `attr`, a map, is repeated entries on the wire."""

_DT_FLOAT = 1  # types.proto

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
    """Name and value of every float constant of a GraphDef that is stored as raw bytes, in the file's order.

    Raises ValueError when the bytes are no GraphDef, or one that is cut short.
    """
    from google.protobuf.message import DecodeError

    try:
        nodes = _graph_def().FromString(graph).node
    except DecodeError as error:
        raise ValueError(f"no GraphDef, or one that is cut short ({error})") from error
    for node in nodes:
        tensors = [entry.value.tensor for entry in node.attr if node.op == "Const" and entry.key == "value"]
        for tensor in tensors:
            if tensor.dtype == _DT_FLOAT and tensor.tensor_content:
                shape = [dim.size for dim in tensor.tensor_shape.dim]
                yield node.name, np.frombuffer(tensor.tensor_content, dtype="<f4").reshape(shape)


@cache
def _graph_def() -> Any:
    """The class of the message GraphDef in _SCHEMA."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="frozen_graph.proto", syntax="proto3")
    for message, fields in _SCHEMA.items():
        described = file.message_type.add(name=message)
        for name, (number, words) in fields.items():
            *repeated, kind = words.split()
            field = described.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            if kind in _SCHEMA:
                field.type, field.type_name = field.TYPE_MESSAGE, kind
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("GraphDef"))
