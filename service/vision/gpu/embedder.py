"""FaceNet on a GPU: batches of a few fixed sizes, each recorded once as a CUDA graph and replayed with one call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.errors import Overloaded
from service.values import CROP_SIDE
from service.vision.gpu.facenet import FaceNet

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""A batch is filled up to the next of them."""
MAX_CROPS = SIZES[-1]

DIMENSION = 512
_SHAPE = (CROP_SIDE, CROP_SIDE, 3)

Crops = NDArray[np.uint8]
"""Shape (n, 160, 160, 3), RGB, 0 to 255."""


class TorchEmbedder:
    """On a GPU (`cuda`), or on the processor (`cpu`), where its arithmetic is tested."""

    def __init__(self, weights: Path, device: str, precision: str = "f32") -> None:
        """Read a safetensors state_dict of InceptionResnetV1 and record the graphs; for `precision` see dtype_of."""
        net = FaceNet(weights, device, dtype_of(precision))
        self._run = _on_processor(net) if device == "cpu" else _Lane(net, device).run
        self._lock = threading.Lock()

    def warm(self) -> None:
        """See Embedder.warm."""
        self.embed(np.zeros((1, *_SHAPE), np.uint8))

    def embed(self, crops: Crops) -> NDArray[np.float32]:
        """See Embedder.embed."""
        with self._lock:
            return self._run(crops)


def dtype_of(precision: str) -> torch.dtype:
    """What FACE_PRECISION means for torch: f32 and bf16 are themselves, all else is float16.

    float16 keeps three bits more than bfloat16 at the same speed, and none of FaceNet's numbers leaves its range.
    """
    import torch

    return {"f32": torch.float32, "bf16": torch.bfloat16}.get(precision, torch.float16)


def _on_processor(net: FaceNet) -> Callable[[Crops], NDArray[np.float32]]:
    import torch

    def run(crops: Crops) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(net(torch.from_numpy(np.array(crops))).numpy())

    return run


class _Slot:
    """Memory of the host that the GPU reads and writes by itself, for one batch."""

    def __init__(self) -> None:
        import torch

        self.crops = torch.empty((MAX_CROPS, *_SHAPE), dtype=torch.uint8, pin_memory=True)
        self.embeddings = torch.empty((MAX_CROPS, DIMENSION), pin_memory=True)
        self.written = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self.rows = slice(0, 0)
        """Of the call's crops, those whose embeddings are on their way here."""


class _Lane:
    """A stream, the graphs recorded for it, and two slots in turns: one is filled while the GPU works on the other."""

    def __init__(self, net: FaceNet, device: str) -> None:
        """Record all graphs; those for which there is not enough memory are left out. Raises Overloaded without any."""
        import torch

        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._slots = _Slot(), _Slot()
        self._crops = torch.zeros((MAX_CROPS, *_SHAPE), dtype=torch.uint8, device=device)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        pool = torch.cuda.graph_pool_handle()  # shared: they run one after another, and the largest comes first
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False)
        with torch.inference_mode(), exact:
            for size in reversed(SIZES):
                try:
                    self._graphs[size] = self._recorded(net, size, pool)
                except torch.OutOfMemoryError:
                    torch.cuda.empty_cache()
        if not self._graphs:
            raise Overloaded("The GPU's memory is full; free some of it and start again.")
        self._sizes = sorted(self._graphs)

    def _recorded(self, net: FaceNet, size: int, pool: Any) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """A graph for a batch of `size`, and where it leaves the embeddings, (size, 512)."""
        import torch

        crops = self._crops[:size]
        with torch.cuda.stream(self._stream):
            for _ in range(2):  # cuDNN and cuBLAS get ready, which must be over when a graph is recorded
                net(crops)
        self._stream.synchronize()
        torch.cuda.empty_cache()  # a graph has memory of its own
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
            embeddings = net(crops)
        return graph, embeddings

    def run(self, crops: Crops) -> NDArray[np.float32]:
        """The embeddings, (n, 512), of crops (n, 160, 160, 3)."""
        embeddings = np.empty((len(crops), DIMENSION), np.float32)
        largest = self._sizes[-1]
        for i, start in enumerate(range(0, len(crops), largest)):
            slot = self._slots[i % 2]
            _collect(slot, embeddings)
            slot.rows = slice(start, min(start + largest, len(crops)))
            self._launch(slot, crops[slot.rows])
        for slot in self._slots:
            _collect(slot, embeddings)
        return embeddings

    def _launch(self, slot: _Slot, crops: Crops) -> None:
        """Have the GPU embed up to the largest batch of crops; returns before it has."""
        import torch

        n = len(crops)
        size = next(size for size in self._sizes if size >= n)
        slot.crops.numpy()[:n] = crops
        graph, embeddings = self._graphs[size]
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._crops[:n].copy_(slot.crops[:n], non_blocking=True)  # what stands behind them changes nothing
            graph.replay()
            slot.embeddings[:n].copy_(embeddings[:n], non_blocking=True)
            slot.written.record(self._stream)


def _collect(slot: _Slot, embeddings: NDArray[np.float32]) -> None:
    """Wait for what is on its way to the slot and put it into its rows."""
    n = slot.rows.stop - slot.rows.start
    if n:
        slot.written.synchronize()
        embeddings[slot.rows] = slot.embeddings.numpy()[:n]
        slot.rows = slice(0, 0)
