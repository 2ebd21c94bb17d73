"""Where the GPU's time goes while it looks for faces, beside what its arithmetic and its memory allow at best."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.bench.gpu_reference import median
from service.models.mtcnn_weights import mtcnn_state_dicts
from service.vision.gpu import cascade, networks
from service.vision.gpu.cascade import Cascade
from service.vision.pyramid import lay_out, smallest_face

PHOTOS = 64
STAGES: tuple[tuple[ModuleType, str, str], ...] = (
    (cascade, "place", "transfer, integral images"),
    (cascade, "fill", "pyramid onto canvases"),
    (networks, "propose", "PNet"),
    (cascade, "mean_colours", "candidates cut out"),
    (networks, "refine", "RNet"),
    (networks, "output", "ONet"),
    (cascade, "suppress", "non-maximum suppression"),
)
_RNET_FLOP, _ONET_FLOP = 3.1e6, 25.8e6
_PNET_FLOP = 2 * (270 + (1440 + 4608 + 192) / 4)
"""A crop's; and a pixel's of a canvas."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the device reaches: FLOP/s in float16 and in float32, bytes/s in its memory and from the processor's."""

    half: float
    single: float
    memory: float
    transfer: float


def limits_section(device: str) -> str:
    """The device and its measured ceilings, as Markdown."""
    import torch

    lines = ["## On an NVIDIA GPU", ""]
    if device == "cpu":
        return "\n".join([*lines, f"On the processor, with torch {torch.__version__}: a trial without meaning."])
    lines.append(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; measured ceilings:")
    c = ceilings(device)
    lines += ["", "| | |", "| --- | ---: |", f"| products of matrices in float16 | {c.half / 1e12:,.0f} TFLOP/s |"]
    lines.append(f"| in float32, all digits | {c.single / 1e12:,.0f} TFLOP/s |")
    lines.append(f"| copy within its memory, read and written | {c.memory / 1e9:,.0f} GB/s |")
    lines.append(f"| copy from the processor's memory | {c.transfer / 1e9:,.0f} GB/s |")
    return "\n".join(lines)


def ceilings(device: str) -> Ceilings:
    import torch

    half = torch.randn(8192, 8192, device=device, dtype=torch.float16)
    single = torch.randn(4096, 4096, device=device)
    large, other = (torch.empty(2**30, dtype=torch.uint8, device=device) for _ in range(2))
    pinned = torch.empty(2**28, dtype=torch.uint8, pin_memory=True)
    return Ceilings(
        2 * 8192**3 / _device_seconds(lambda: half @ half),
        2 * 4096**3 / _device_seconds(lambda: single @ single),
        2 * 2**30 / _device_seconds(lambda: large.copy_(other)),
        2**28 / _device_seconds(lambda: large[: 2**28].copy_(pinned, non_blocking=True)),
    )


def _device_seconds(work: Callable[[], Any]) -> float:
    """Median of twenty, by the device's own clock."""
    import torch

    took = []
    for i in range(23):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        work()
        end.record()
        end.synchronize()
        if i > 2:  # noqa: PLR2004 - the first ones warm up
            took.append(start.elapsed_time(end) / 1000)
    return float(np.median(took))


@dataclass(slots=True)
class Clock:
    """Seconds by stage, and how many items went into it."""

    device: str
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    items: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def now(self) -> float:
        if self.device != "cpu":
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def wound(self) -> Iterator[None]:
        """Within it every stage is measured, and the device waited for before and after: together they take longer."""
        originals = [(module, name, getattr(module, name)) for module, name, _ in STAGES]
        for (module, name, original), (_, _, stage) in zip(originals, STAGES, strict=True):
            setattr(module, name, self._measured(original, stage))
        try:
            yield
        finally:
            for module, name, original in originals:
                setattr(module, name, original)

    def _measured(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            began = self.now()
            answer = function(*args, **kwargs)
            self.seconds[stage] += self.now() - began
            self.items[stage] += len(args[0] if function.__name__ in {"place", "fill", "suppress"} else args[1])
            return answer

        return measured


def stages_section(device: str, photos: Sequence[NDArray[np.uint8]], seconds: float) -> str:
    """Milliseconds of a batch by stage, as Markdown; and photos a second by batch."""
    network = Cascade(mtcnn_state_dicts(), device)
    count = PHOTOS if device != "cpu" else 4
    batch = [photos[i % len(photos)] for i in range(count)]
    pyramids = [lay_out(*each.shape[:2], smallest_face(*each.shape[:2], min_face=40, share=0.04)) for each in batch]
    for _ in range(3):
        network.detect(batch, pyramids)
    clock, rounds = Clock(device), 0
    with clock.wound():
        began = time.perf_counter()
        while time.perf_counter() - began < seconds or not rounds:
            network.detect(batch, pyramids)
            rounds += 1
    best = _least_seconds(clock, ceilings(device), batch, pyramids, rounds) if device != "cpu" else {}
    lines = [f"## Detection of {count} photos at once, by stage", "", "| stage | ms | at best, ms |"]
    lines.append("| --- | ---: | ---: |")
    for stage, took in clock.seconds.items():
        least = f"{best[stage] * 1000:.3f}" if stage in best else ""
        lines.append(f"| {stage} ({clock.items[stage] / rounds:,.0f}) | {took * 1000 / rounds:.2f} | {least} |")
    lines += ["", "| photos at once | ms | photos/s |", "| ---: | ---: | ---: |"]
    for n in (1, 8, 16, 32, 64, 128) if device != "cpu" else (1, 4):
        some = [photos[i % len(photos)] for i in range(n)]
        half = median(partial(network.detect, some, [pyramids[0]] * n), seconds / 2)
        lines.append(f"| {n} | {half * 1000:.1f} | {n / half:,.0f} |")
    return "\n".join(lines)


def _least_seconds(
    clock: Clock, most: Ceilings, photos: Sequence[NDArray[np.uint8]], pyramids: Sequence[Any], rounds: int
) -> dict[str, float]:
    """What each stage takes at the device's ceilings: its arithmetic, or each byte read once and written once."""
    pixels = sum(each.shape[0] * each.shape[1] for each in photos)
    canvas = sum(layout.height * layout.width for pyramid in pyramids for layout in pyramid)
    crops = {stage: clock.items[stage] / rounds for stage in ("RNet", "ONet")}
    cut = 12 * (crops["RNet"] * 24**2 + crops["ONet"] * 48**2)  # bytes written
    return {
        "transfer, integral images": 3 * pixels / most.transfer + 15 * pixels / most.memory,
        "pyramid onto canvases": 12 * (pixels + canvas) / most.memory,
        "PNet": _PNET_FLOP * canvas / most.single,
        "candidates cut out": cut / most.memory,
        "RNet": _RNET_FLOP * crops["RNet"] / most.single,
        "ONet": _ONET_FLOP * crops["ONet"] / most.single,
    }
