"""The OpenVINO graphs, compiled for the processor: for one inference on all its threads, or for one on each of them.

Small networks run several times faster at a fixed shape than at an open one, and never make memory grow so; each shape
costs a compilation, so there are few, made on first use. FaceNet is no slower at an open one, which has one copy of the
weights for batches of all sizes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.models.runtimes import import_openvino
from service.vision.pyramid import CANVASES
from service.vision.sharing import Sharing

Array = NDArray[Any]

MAX_BATCH = 8
"""Crops of a batch. Larger ones are no faster."""

MAX_BATCH_S = 0.2
"""What a batch may take, as far as can be foreseen: for so long it keeps processors from who comes meanwhile."""

_WORTH_PADDING = 1.4
"""How much more a crop costs alone than in a batch of 8 (measured for FaceNet): 6 are better run as 8."""


class _Graph:
    """One graph file and the inference requests compiled from it, by input shape."""

    def __init__(self, path: Path, sharing: Sharing, precision: str = "f32") -> None:
        self._core = import_openvino().Core()
        self._model = self._core.read_model(path)
        self._sharing = sharing
        # Threads that are bound to processors would meet on one of them, for each compilation counts from the first.
        self._options: dict[str, Any] = {"INFERENCE_NUM_THREADS": sharing.threads, "ENABLE_CPU_PINNING": False}
        if precision != "auto":  # by itself OpenVINO takes bfloat16 where the processor computes in it
            self._options["INFERENCE_PRECISION_HINT"] = precision
        self._idle: dict[tuple[Any, ...], SimpleQueue[Any]] = {}
        self._compiling = threading.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether an inference shall run on one thread, beside others."""
        return self._sharing.is_shared

    @contextmanager
    def request(self, *shapes: tuple[int, ...], shared: bool) -> Iterator[Any]:
        """What runs inputs of these shapes (-1: open), on one thread beside others where it is `shared`, else on all.

        It is compiled on first use; a caller more than may run at once waits.
        """
        with self._taken(self._compiled(shapes, shared=shared), 1) as [request]:
            yield request

    def shared_requests(self, shape: tuple[int, ...], most: int) -> AbstractContextManager[list[Any]]:
        """Likewise several on a thread each: as many of `most` as are idle, one at least."""
        return self._taken(self._compiled((shape,), shared=True), most)

    def compile(self, *shapes: tuple[int, ...], shared: bool) -> None:
        """Have it compiled already."""
        self._compiled(shapes, shared=shared)

    @staticmethod
    @contextmanager
    def _taken(idle: SimpleQueue[Any], most: int) -> Iterator[list[Any]]:
        requests = [idle.get()]
        try:
            with suppress(Empty):  # who has one must not wait for another, as somebody else may
                while len(requests) < most:
                    requests.append(idle.get_nowait())
            yield requests
        finally:
            for request in requests:
                idle.put(request)

    def _compiled(self, shapes: tuple[tuple[int, ...], ...], *, shared: bool) -> SimpleQueue[Any]:
        streams = self._sharing.threads if shared else 1
        key = (streams, *shapes)
        with self._compiling:
            if key not in self._idle:
                model = self._model.clone()
                model.reshape({port: list(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
                options = {**self._options, "NUM_STREAMS": streams}
                compiled = self._core.compile_model(model, "CPU", options)
                idle: SimpleQueue[Any] = SimpleQueue()
                for _ in range(streams):
                    idle.put(compiled.create_infer_request())
                self._idle[key] = idle
            return self._idle[key]


class CanvasNetwork:
    """PNet, which takes a whole canvas."""

    def __init__(self, path: Path, sharing: Sharing) -> None:
        self._graph = _Graph(path, sharing)

    def __call__(self, canvas: Array, beyond: Array, *outputs: str) -> list[Array]:
        """Run on a canvas (1, height, width, 3) and its map's `beyond`; the named outputs, copied."""
        shapes = (canvas.shape, beyond.shape) if canvas.shape[1:3] in CANVASES else ((1, -1, -1, 3), (1, 1, -1, -1))
        with self._graph.request(*shapes, shared=self._graph.is_shared) as request:
            request.infer([canvas, beyond], share_inputs=True)
            return _outputs(request, outputs)

    def warm(self) -> None:
        """Compile all that photos may need, letting callers in between."""
        for shared in (False, True):
            for height, width in CANVASES:
                self._graph.compile((1, height, width, 3), (1, 1, height - 2, width - 2), shared=shared)


class BatchNetwork:
    """A network over crops, run at a few batch sizes."""

    def __init__(self, path: Path, sharing: Sharing, batches: tuple[int, ...]) -> None:
        """`batches` are the sizes to compile for, rising."""
        self._graph = _Graph(path, sharing)
        self._batches = batches

    def __call__(self, crops: Array, *outputs: str) -> list[Array]:
        """Run on crops (n, side, side, 3), n ≥ 1; the named outputs, each with n rows."""
        parts = []
        start = 0
        while start < len(crops):
            batch = self._batch_for(len(crops) - start)
            part = crops[start : start + batch]
            with self._graph.request((batch, *crops.shape[1:]), shared=self._graph.is_shared) as request:
                request.infer([_padded(part, batch)], share_inputs=True)
                parts.append([request.get_tensor(name).data[: len(part)].copy() for name in outputs])
            start += batch
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def warm(self, shape: tuple[int, ...]) -> None:
        """Compile for crops of `shape` all that photos may need, letting callers in between."""
        for shared in (False, True):
            for batch in self._batches:
                self._graph.compile((batch, *shape), shared=shared)

    def _batch_for(self, remaining: int) -> int:
        """The largest batch that isn't too empty to be worth it; the smallest at least."""
        return next((size for size in reversed(self._batches) if size <= remaining * _WORTH_PADDING), self._batches[0])


class AnyBatchNetwork:
    """A network over crops, run at any batch size: large batches need no more memory than small ones have."""

    def __init__(self, path: Path, sharing: Sharing, precision: str) -> None:
        self._graph = _Graph(path, sharing, precision)
        self._threads = sharing.threads

    def __call__(self, crops: Array, *outputs: str) -> list[Array]:
        """Run on crops (n, side, side, 3), n ≥ 1; the named outputs, each with n rows.

        Beside others that is a batch on one thread. Alone, many crops are spread over the threads, and a few take all
        of them one after another.
        """
        if self._graph.is_shared:
            return self._spread(crops, 1, *outputs)
        if len(crops) > 1 and self._threads < 2 * len(crops):
            return self._spread(crops, self._threads, *outputs)
        alone = []
        for crop in np.ascontiguousarray(crops):
            with self._graph.request((1, *crop.shape), shared=False) as request:
                request.infer([crop[None]], share_inputs=True)
                alone.append(_outputs(request, outputs))
        return [np.concatenate(each) for each in zip(*alone, strict=True)]

    def warm(self, shape: tuple[int, ...], *, longest_s: float) -> None:
        """Get ready for crops of `shape`, alone or in batches of up to `longest_s`, letting callers in between."""
        self._graph.compile((1, *shape), shared=False)
        self._spread(np.zeros((1, *shape), np.uint8), 1)
        for batch in range(1, MAX_BATCH + 1):
            began = time.perf_counter()
            self._spread(np.zeros((batch, *shape), np.uint8), 1)
            if time.perf_counter() - began > longest_s:
                break

    def _spread(self, crops: Array, most: int, *outputs: str) -> list[Array]:
        """Run batches on a thread each, at most so many side by side."""
        answers = []
        crops, done = np.ascontiguousarray(crops), 0
        while done < len(crops):
            with self._graph.shared_requests((-1, *crops.shape[1:]), min(most, len(crops) - done)) as requests:
                block = crops[done : done + MAX_BATCH * len(requests)]
                done += len(block)
                for request, part in zip(requests, np.array_split(block, len(requests)), strict=True):
                    request.start_async([part], share_inputs=True)
                for request in requests:
                    request.wait()
                answers += [_outputs(request, outputs) for request in requests]
        return [np.concatenate(each) for each in zip(*answers, strict=True)]


def _outputs(request: Any, names: tuple[str, ...]) -> list[Array]:
    return [request.get_tensor(name).data.copy() for name in names]


def _padded(part: Array, batch: int) -> Array:
    """The crops (n, side, side, 3), with black ones behind up to `batch` of them."""
    if len(part) == batch:
        return np.ascontiguousarray(part)
    return np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
