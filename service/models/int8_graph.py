"""Makes FaceNet's int8 graph of its float one: convolutions multiply 8-bit weights by activations of 8 bits.

Each weight is a signed integer times a step of its output channel, which follows from the weights alone. Each
activation follows a ReLU, so it is an unsigned integer times one step for the whole tensor. That step needs to be
measured on faces once: the ranges. Products are added up in 32 bits. Biases, residual sums and the last layer stay in
float. NNCF's post-training quantization does much the same, but rounds residual sums and the first layers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ModelUnavailable
from service.models.runtimes import import_openvino

Ranges = Mapping[str, float]
"""How large the activations of a tensor become, by the name of the layer that they leave."""

INT8_VERSION = 1
"""Counts the versions of what this module makes of the same graph and ranges."""

_IN_FLOAT = 2
"""Convolutions at the start that stay in float. They are 4 % of the work, and in int8 they would cost more accuracy
than the other 130 together: vggface2's median cosine to float32 is 0.9998 so, 0.9987 with the second in int8 too."""

_PERCENTILE = 99
"""Of the faces' largest activations, so that one odd face doesn't make the steps coarser for all others."""

_LARGEST_WEIGHT = 127  # -128 is left out, so that steps are the same on both sides of 0
_LEVELS = 256
_BATCH = 8


def quantized(facenet: Path, ranges: Ranges) -> Any:
    """The int8 model of the float graph `facenet`; raises ModelUnavailable where `ranges` are of another network."""
    openvino = import_openvino()
    model = openvino.Core().read_model(facenet)
    sources = _sources(model)
    if sources.keys() != ranges.keys():
        raise ModelUnavailable("The ranges of the int8 model are another network's; `face-service quantize` makes new.")
    for name, (tensor, convolutions) in sources.items():
        reading = [each for each in tensor.get_target_inputs() if _feeds(each.get_node(), convolutions)]
        rounded = _rounded(tensor, ranges[name])
        for each in reading:
            each.replace_source_output(rounded)
        for convolution in convolutions:
            convolution.input(1).replace_source_output(_integers(_weights(convolution)))
    model.validate_nodes_and_infer_types()
    return model


def write_int8_graph(facenet: Path, ranges: Ranges, path: Path) -> None:
    """Save the int8 model of the graph `facenet` as `path`, a .xml, with its .bin beside it; see `quantized`."""
    import_openvino().save_model(quantized(facenet, ranges), path, compress_to_fp16=False)


def measure_ranges(facenet: Path, crops: NDArray[np.uint8], threads: int) -> dict[str, float]:
    """The ranges that the float graph `facenet` has on `crops`, (n, 160, 160, 3) RGB, n ≥ 1."""
    openvino = import_openvino()
    core = openvino.Core()
    model = core.read_model(facenet)
    sources = _sources(model)
    opset = openvino.opset13
    largest = [opset.reduce_max(tensor, [1, 2, 3]).output(0) for tensor, _ in sources.values()]  # each (batch,)
    model.add_outputs(largest)
    model.reshape([_BATCH, *crops.shape[1:]])
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    request = core.compile_model(model, "CPU", options).create_infer_request()
    seen = []
    for start in range(0, len(crops), _BATCH):
        part = crops[start : start + _BATCH]
        request.infer([np.resize(part, (_BATCH, *crops.shape[1:]))])  # the last ones repeat theirs
        maxima = [request.get_output_tensor(1 + index).data for index in range(len(largest))]
        seen.append(np.stack(maxima, axis=1)[: len(part)])
    values = np.percentile(np.concatenate(seen), _PERCENTILE, axis=0)  # (tensors,)
    return {name: _significant(value) for name, value in zip(sources, values, strict=True)}


def _sources(model: Any) -> dict[str, tuple[Any, list[Any]]]:
    """Each tensor that becomes int8, by its layer's name, and the convolutions that read it.

    A pooling between them takes the integers as well: the largest of rounded numbers is the largest, rounded.
    """
    sources: dict[str, tuple[Any, list[Any]]] = {}
    for convolution in list(_convolutions(model))[_IN_FLOAT:]:
        tensor = convolution.input_value(0)
        if tensor.get_node().get_type_name() == "MaxPool":
            tensor = tensor.get_node().input_value(0)
        # `__module.net.repeat_1.0.relu/aten::relu/Relu`: the names of convolutions differ from conversion to conversion
        name = tensor.get_node().get_friendly_name().partition("/")[0].removeprefix("__module.net.")
        sources.setdefault(name, (tensor, []))[1].append(convolution)
    return sources


def _convolutions(model: Any) -> Iterator[Any]:
    """From the pixels on."""
    return (each for each in model.get_ordered_ops() if each.get_type_name() == "Convolution")


def _feeds(reader: Any, convolutions: list[Any]) -> bool:
    """Whether a node that reads a tensor is one of its convolutions, or a pooling that only such a one reads."""
    names = {each.get_name() for each in convolutions}
    if reader.get_type_name() == "MaxPool":
        return all(each.get_node().get_name() in names for each in reader.output(0).get_target_inputs())
    return reader.get_name() in names


def _rounded(tensor: Any, largest: float) -> Any:
    """The tensor in 256 steps from 0 to `largest`."""
    opset = import_openvino().opset13
    least, most = opset.constant(np.float32(0)), opset.constant(np.float32(largest))
    return opset.fake_quantize(tensor, least, most, least, most, _LEVELS).output(0)


def _weights(convolution: Any) -> NDArray[np.float32]:
    """(out, in, height, width); the graph keeps them as float16."""
    node = convolution.input_value(1).get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.asarray(node.data, np.float32)


def _integers(weights: NDArray[np.float32]) -> Any:
    """Weights as what int8 multiplies: integers of -127 to 127, times a step for each output channel."""
    opset = import_openvino().opset13
    steps = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / _LARGEST_WEIGHT
    steps[steps == 0] = 1  # a channel of zeros
    integers = np.rint(weights / steps).astype(np.int8)
    return opset.multiply(opset.convert(opset.constant(integers), "f32"), opset.constant(steps)).output(0)


def _significant(value: float) -> float:
    """To four digits, a fiftieth of a step; never 0, which no range may end at."""
    return max(float(f"{value:.4g}"), 1e-6)
