"""The OpenVINO graphs, compiled for the processor at a few fixed shapes.

A fixed shape runs several times faster than an open one and never makes memory grow; each costs a compilation, so there
are few, made on first use. One lock a network: a second caller waits, which costs nothing, since each inference already
takes every thread that it was given.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.models.runtimes import import_openvino
from service.vision.pyramid import CANVASES

Array = NDArray[Any]

_WORTH_PADDING = 1.4
"""How much more a crop costs alone than in a batch of 8 (measured for FaceNet): 6 are better run as 8."""


class _Graph:
    """One graph file and the inference requests compiled from it, by input shape."""

    def __init__(self, path: Path, threads: int, precision: str = "f32") -> None:
        self._openvino = import_openvino()
        self._core = self._openvino.Core()
        self._model = self._core.read_model(path)
        self._options = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
        if precision != "auto":  # by itself OpenVINO takes bfloat16 where the processor computes in it
            self._options["INFERENCE_PRECISION_HINT"] = precision
        self._requests: dict[tuple[tuple[int, ...], ...], Any] = {}

    def request(self, *shapes: tuple[int, ...]) -> Any:
        """What runs inputs of these shapes (-1: open), compiled on first use; its outputs hold until its next run."""
        if shapes not in self._requests:
            model = self._model.clone()
            model.reshape({port: list(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
            self._requests[shapes] = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        return self._requests[shapes]


class CanvasNetwork:
    """PNet, which takes a whole canvas."""

    def __init__(self, path: Path, threads: int) -> None:
        self._graph = _Graph(path, threads)
        self._lock = threading.Lock()

    def __call__(self, canvas: Array, beyond: Array, *outputs: str) -> list[Array]:
        """Run on a canvas (1, height, width, 3) and its map's `beyond`; the named outputs, copied."""
        shapes = (canvas.shape, beyond.shape) if canvas.shape[1:3] in CANVASES else ((1, -1, -1, 3), (1, 1, -1, -1))
        with self._lock:
            request = self._graph.request(*shapes)
            request.infer([canvas, beyond], share_inputs=True)
            return [request.get_tensor(name).data.copy() for name in outputs]


class BatchNetwork:
    """A network over crops, run at a few batch sizes."""

    def __init__(self, path: Path, threads: int, batches: tuple[int, ...], precision: str = "f32") -> None:
        """`batches` are the sizes to compile for, rising."""
        self._graph = _Graph(path, threads, precision)
        self._batches = batches
        self._lock = threading.Lock()

    def __call__(self, crops: Array, *outputs: str) -> list[Array]:
        """Run on crops (n, side, side, 3), n ≥ 1; the named outputs, each with n rows."""
        parts = []
        start = 0
        while start < len(crops):
            batch = self._batch_for(len(crops) - start)
            part = crops[start : start + batch]
            with self._lock:
                request = self._graph.request((batch, *crops.shape[1:]))
                request.infer([_padded(part, batch)], share_inputs=True)
                parts.append([request.get_tensor(name).data[: len(part)].copy() for name in outputs])
            start += batch
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def warm(self, shape: tuple[int, ...]) -> None:
        """Compile for every batch size over crops of `shape`, letting callers in between."""
        for batch in self._batches:
            with self._lock:
                self._graph.request((batch, *shape))

    def _batch_for(self, remaining: int) -> int:
        """The largest batch that isn't too empty to be worth it; the smallest at least."""
        return next((size for size in reversed(self._batches) if size <= remaining * _WORTH_PADDING), self._batches[0])


def _padded(part: Array, batch: int) -> Array:
    """The crops (n, side, side, 3), with black ones behind up to `batch` of them."""
    if len(part) == batch:
        return np.ascontiguousarray(part)
    return np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
