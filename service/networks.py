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

from service.conversion import import_openvino
from service.pyramid import CANVASES

Array = NDArray[Any]


class _Graph:
    """One graph file and the inference requests compiled from it, by input shape."""

    def __init__(self, path: Path, threads: int, precision: str = "f32") -> None:
        self._openvino = import_openvino()
        self._core = self._openvino.Core()
        self._model = self._core.read_model(path)
        self._options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
        }
        self._requests: dict[tuple[int, ...], Any] = {}

    def infer(self, shape: tuple[int, ...], pixels: Array) -> Any:
        """Run on `pixels`, compiled for `shape` (-1: open); the request holds the outputs until its next run."""
        if shape not in self._requests:
            model = self._model.clone()
            model.reshape(list(shape))
            self._requests[shape] = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        request = self._requests[shape]
        request.infer([pixels], share_inputs=True)
        return request


class CanvasNetwork:
    """PNet, which takes a whole canvas."""

    def __init__(self, path: Path, threads: int) -> None:
        self._graph = _Graph(path, threads)
        self._lock = threading.Lock()

    def __call__(self, canvas: Array, *outputs: str) -> list[Array]:
        """Run on a canvas (1, height, width, 3); the named outputs, copied."""
        size = canvas.shape[1:3]
        shape = (1, *size, 3) if size in CANVASES else (1, -1, -1, 3)
        with self._lock:
            request = self._graph.infer(shape, canvas)
            return [request.get_tensor(name).data.copy() for name in outputs]


class BatchNetwork:
    """A network over crops, at a few batch sizes; what is missing to a batch is filled up and thrown away."""

    def __init__(self, path: Path, threads: int, batches: tuple[int, ...], precision: str = "f32") -> None:
        self._graph = _Graph(path, threads, precision)
        self._batches = batches
        self._lock = threading.Lock()

    def __call__(self, crops: Array, *outputs: str) -> list[Array]:
        """Run on crops (n, side, side, 3), n any number; the named outputs, each with n rows."""
        parts = []
        largest = self._batches[-1]
        for start in range(0, max(len(crops), 1), largest):
            part = crops[start : start + largest]
            batch = next(size for size in self._batches if size >= len(part))
            filled = np.zeros((batch, *crops.shape[1:]), crops.dtype)
            filled[: len(part)] = part
            with self._lock:
                request = self._graph.infer(filled.shape, filled)
                parts.append([request.get_tensor(name).data[: len(part)].copy() for name in outputs])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]
