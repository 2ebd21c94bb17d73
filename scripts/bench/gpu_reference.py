"""facenet-pytorch on the GPU as its README shows it: MTCNN on a list of photos of one size, the network on a batch."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service.models.runtimes import import_facenet

BATCHES = (16, 64, 128)
ROUNDS = 3
"""At least, however long they take."""


def reference_section(device: str, weights: Path, jpegs: Sequence[bytes], seconds: float) -> str:
    """Photos a second by batch, and faces a second of its network alone, as Markdown."""
    import torch

    if device == "cpu":
        return "facenet-pytorch is left out: beside a CPU build of torch, torchvision lacks the function that it calls."
    facenet = import_facenet()
    torch.backends.cudnn.allow_tf32 = True  # torch's default, which its users have
    mtcnn = facenet.MTCNN(image_size=160, margin=14, device=device)
    network = _network(facenet, weights, device)
    lines = ["## facenet-pytorch on the same GPU", "", "| photos in a batch | photos/s | MTCNN ms | network ms |"]
    lines.append("| ---: | ---: | ---: | ---: |")
    for batch in BATCHES:
        rate, finding, embedding = _photos_a_second(mtcnn, network, jpegs, device=device, batch=batch, seconds=seconds)
        lines.append(f"| {batch} | {rate:,.0f} | {finding:.0f} | {embedding:.1f} |")
    for batch in (64, 256):
        crops = torch.randn(batch, 3, 160, 160, device=device)

        def run(crops: Any = crops) -> None:
            with torch.no_grad():
                network(crops).cpu()

        lines += ["", f"Its network alone, {batch} crops on the GPU: {batch / median(run, seconds):,.0f} faces/s."]
    return "\n".join(lines)


def _network(facenet: Any, weights: Path, device: str) -> Any:
    from safetensors.torch import load_file

    network = facenet.InceptionResnetV1(pretrained=None).eval()
    state = {name: each.float() if each.is_floating_point() else each for name, each in load_file(weights).items()}
    network.load_state_dict(state, strict=False)
    return network.to(device)


def _photos_a_second(
    mtcnn: Any, network: Any, jpegs: Sequence[bytes], *, device: str, batch: int, seconds: float
) -> tuple[float, float, float]:
    """And the median milliseconds of the detector and of the network for a batch."""
    import torch

    finding: list[float] = []
    embedding: list[float] = []
    done, start = 0, 0
    began = 0.0
    while len(finding) < ROUNDS or time.perf_counter() - began < seconds:
        photos = [Image.open(io.BytesIO(jpegs[(start + i) % len(jpegs)])).convert("RGB") for i in range(batch)]
        start += batch
        before = time.perf_counter()
        faces = [each for each in mtcnn(photos) if each is not None]
        found = time.perf_counter()
        with torch.no_grad():
            network(torch.stack(faces).to(device)).cpu()
        if began:  # the first batch warms up
            finding.append((found - before) * 1000)
            embedding.append((time.perf_counter() - found) * 1000)
            done += batch
        else:
            began = time.perf_counter()
    return done / (time.perf_counter() - began), float(np.median(finding)), float(np.median(embedding))


def median(work: Callable[[], Any], seconds: float) -> float:
    """Seconds of `work`, which returns only when the device is done with it."""
    work()
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(took) < ROUNDS:
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return float(np.median(took))
