"""`make bench-gpu`: what the engine makes of an NVIDIA GPU, against facenet-pytorch's batches on the same one.

Run from the project's folder: `python -m scripts.bench.gpu`. It needs torch and facenet-pytorch, but no OpenVINO. With
`--device cpu` it measures nothing of interest, and shows that it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.importing.engine_processes import engine_processes
from scripts.bench.gpu_reference import median, reference_section
from scripts.bench.gpu_stages import ceilings, limits_section, stages_section
from scripts.bench.photos import FACES, photos_below
from service.errors import FaceServiceError
from service.models.mtcnn_weights import mtcnn_state_dicts
from service.processors import usable_processors
from service.settings import Settings
from service.timings import Timings
from service.vision.engine import engine_of
from service.vision.gpu.cascade import Cascade
from service.vision.gpu.embedder import MAX_CROPS, TorchEmbedder
from service.vision.gpu.starting import GpuProcess
from service.vision.loading import gpu_options, networks_at
from service.vision.pyramid import lay_out, smallest_face

FACENET_FLOP, CROP_BYTES = 2.84e9, 160 * 160 * 3
CALLERS = (1, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured, on what and how long."""

    device: str
    weights: Path
    jpegs: list[bytes]
    seconds: float
    threads: int

    @property
    def photos(self) -> list[NDArray[np.uint8]]:
        return [np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in self.jpegs]


def main() -> None:
    options = _options()
    paths = photos_below(options.photos)[:: options.every]
    jpegs = [path.read_bytes() for path in paths]
    bench = Bench(options.device, options.weights or _own_weights(), jpegs, options.seconds, options.threads)
    written: list[str] = []
    sections: tuple[Callable[[], str], ...] = (
        lambda: limits_section(bench.device),
        lambda: agreement_section(bench),
        lambda: embedding_section(bench),
        lambda: stages_section(bench.device, bench.photos, bench.seconds),
        lambda: asyncio.run(end_to_end_section(bench)),
        lambda: reference_section(bench.device, bench.weights, bench.jpegs, bench.seconds),
    )
    for section in sections:
        written.append(section())
        print(f"{written[-1]}\n", flush=True)
    if options.write:
        options.write.write_text("\n\n".join(written) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=FACES / "lfw_mini", help="photos of one size (%(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth photo only")
    parser.add_argument("--weights", type=Path, help="a safetensors state_dict of FaceNet; default: the service's")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--threads", type=int, default=usable_processors(), help="processors to decode with")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement (%(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the report")
    return parser.parse_args()


def _own_weights() -> Path:
    from service.models import selection

    return selection.prepare(Settings(), kept=None).weights


def agreement_section(bench: Bench) -> str:
    """The device's boxes and embeddings against the processor's in float32, over some photos."""
    photos = bench.photos[:32]
    pyramids = [lay_out(*each.shape[:2], smallest_face(*each.shape[:2], min_face=40, share=0.04)) for each in photos]
    mine = Cascade(mtcnn_state_dicts(), bench.device).detect(photos, pyramids)
    exact = Cascade(mtcnn_state_dicts(), "cpu").detect(photos, pyramids)
    assert [len(each) for each in mine] == [len(each) for each in exact], "not the same faces"  # noqa: S101
    pairs = [pair for a, b in zip(mine, exact, strict=True) for pair in zip(a, b, strict=True)]
    moved = max(float(np.abs(np.subtract(a.box, b.box)).max()) for a, b in pairs)
    scores = max(abs(a.score - b.score) for a, b in pairs)
    crops = _crops(bench.jpegs[:32])
    expected = TorchEmbedder(bench.weights, "cpu").embed(crops)
    lines = ["## Agreement with float32 on the processor", "", "| | |", "| --- | ---: |"]
    lines.append(f"| faces found by both, in {len(photos)} photos | {len(pairs)} |")
    lines.append(f"| edges of boxes differ by at most, pixels | {moved:.4f} |")
    lines.append(f"| scores differ by at most | {scores:.6f} |")
    for precision in ("auto", "bf16", "f32"):
        cosines = (TorchEmbedder(bench.weights, bench.device, precision).embed(crops) * expected).sum(axis=1)
        lines.append(f"| least cosine of embeddings, FACE_PRECISION={precision} | {cosines.min():.6f} |")
    return "\n".join(lines)


def _crops(jpegs: Sequence[bytes]) -> NDArray[np.uint8]:
    """The middle of LFW's photos, which is the face."""
    pictures = [Image.open(io.BytesIO(each)).convert("RGB") for each in jpegs]
    boxes = [(p.width // 4, p.height // 4, p.width * 3 // 4, p.height * 3 // 4) for p in pictures]
    return np.stack([np.asarray(p.crop(box).resize((160, 160))) for p, box in zip(pictures, boxes, strict=True)])


def embedding_section(bench: Bench) -> str:
    """Faces a second by batch and precision, with the transfers."""
    crops = np.resize(_crops(bench.jpegs[:64]), (4 * MAX_CROPS, 160, 160, 3))
    lines = ["## Embedding", "", "| crops in a call | float16 | bfloat16 | float32 |", "| ---: | ---: | ---: | ---: |"]
    embedders = [TorchEmbedder(bench.weights, bench.device, precision) for precision in ("auto", "bf16", "f32")]
    for count in (1, 8, 32, 64, 128, 256, 1024) if bench.device != "cpu" else (1, 4):
        rates = [count / median(partial(each.embed, crops[:count]), bench.seconds / 2) for each in embedders]
        lines.append(f"| {count} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |")
    lines += ["", "Faces a second, from the processor's memory and back."]
    if bench.device != "cpu":
        most = ceilings(bench.device)
        lines.append(
            f"At best {most.half / FACENET_FLOP:,.0f} by float16's arithmetic, {most.single / FACENET_FLOP:,.0f} by "
            f"float32's, {most.transfer / CROP_BYTES:,.0f} by the transfer."
        )
    return "\n".join(lines)


async def end_to_end_section(bench: Bench) -> str:
    """Photos a second from JPEG bytes to embedding and quality: one engine, as in the service, and an import's many."""
    settings = Settings(max_queue=100_000, threads=bench.threads)
    lines = ["## From JPEG to embedding and quality", "", "| callers | photos/s | p50 ms | with the picture |"]
    lines.append("| ---: | ---: | ---: | ---: |")
    process = GpuProcess(gpu_options(settings, bench.weights, bench.device))
    engine = engine_of(settings, networks_at(process.address, settings))

    async def observe(photo: bytes, picture_side: int | None) -> object:
        return await engine.observe(photo, lambda found, _: found[:1], Timings(), picture_side=picture_side)

    for callers in CALLERS if bench.device != "cpu" else CALLERS[:2]:
        rate, p50 = await _rate(bench, callers, lambda photo: observe(photo, None))
        with_picture, _ = await _rate(bench, callers, lambda photo: observe(photo, settings.picture_side))
        lines.append(f"| {callers} | {rate:,.0f} | {p50:.0f} | {with_picture:,.0f} |")
    held = engine.gpu_memory_bytes() if engine.gpu_memory_bytes else 0
    await engine.close()
    process.close()
    lines += [
        "",
        f"One engine, {bench.threads} processors; torch holds {held / 2**30:.1f} GiB of the GPU's memory.",
        "",
    ]
    async with engine_processes(settings, bench.weights, "largest", device=bench.device) as (candidate, in_flight):
        await _rate(bench, in_flight, lambda photo: candidate(photo, ""))  # until all processes have started
        rate, p50 = await _rate(bench, in_flight, lambda photo: candidate(photo, ""))
    lines.append(f"An import, {in_flight} photos under way in {bench.threads} processes, pictures and digests made:")
    lines.append(f"**{rate:,.0f} photos/s**, each within {p50:.0f} ms (median).")
    return "\n".join(lines)


async def _rate(bench: Bench, callers: int, observe: Callable[[bytes], Awaitable[object]]) -> tuple[float, float]:
    """Photos a second and the median milliseconds of one; photos that are refused count too."""
    took: list[float] = []
    started = 0
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal started
        while (start := time.perf_counter()) - began < bench.seconds:
            started += 1
            with suppress(FaceServiceError):
                await observe(bench.jpegs[started % len(bench.jpegs)])
            took.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return len(took) / (time.perf_counter() - began), float(np.median(took))


if __name__ == "__main__":
    main()
