"""How many recognitions a second the processors allow, and how many a service answers over HTTP, by callers at once.

The limit is worked out from the processor time of a photo's parts, each measured with all processors at work on it, and
not on one beside an idle one: two processors of a virtual machine may well be the two threads of one core.

Run alone as `python -m scripts.bench.throughput [--seconds S] PHOTO ...`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from scripts.bench.plots import Served, throughput_by_callers
from scripts.bench.serving import clients_in_own_process, enroll, service_process
from service.commands.markdown import table
from service.models import selection
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.vision.detector import Detector
from service.vision.embedder import open_embedder
from service.vision.preparation import Limits, Preparation
from service.vision.sharing import Sharing

Item = TypeVar("Item")

CALLERS = (1, 2, 4, 8, 16, 32, 64)
SECONDS = 8.0
"""Of each number of callers, and of each part of the limit."""
ENROLLED = 50
BATCHES = (1, 2, 4, 8)
AMONG_MANY = 16
"""Callers from whom on the rest of a request is measured."""


class Work(NamedTuple):
    """Milliseconds of one processor that a photo takes, in its parts."""

    preparing: float
    embedding: float
    batch: int
    """The batch that embeds quickest."""
    rest: float
    """The event loop, the gallery's process and the clients, as they took it."""

    @property
    def total(self) -> float:
        return self.preparing + self.embedding + self.rest


class Run(NamedTuple):
    """What callers had of a service, and the milliseconds of processor time that a photo took: of all, and the rest."""

    served: Served
    processor_ms: float
    rest_ms: float


def throughput_section(
    settings: Settings, photos: Sequence[Path], picture: Path | None = None, seconds: float = SECONDS
) -> str:
    """A report section in Markdown; `photos` are small portraits such as LFW's. The plot goes to `picture`."""
    files = selection.prepare(settings, kept=None)
    processors = model_threads(settings)
    preparing, embedding = _preparing(settings, files, photos, seconds), _embedding(settings, files, seconds)
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(settings, data=Path(folder), port=0, host="127.0.0.1", devices=None)
        runs = asyncio.run(_served(settings, photos, seconds))
    batch = min(embedding, key=embedding.__getitem__)
    rest = min(each.rest_ms for each in runs if each.served.callers >= AMONG_MANY)
    work = Work(preparing, embedding[batch], batch, rest)
    limit = processors * 1000 / work.total
    written = throughput_by_callers([each.served for each in runs], limit, picture) if picture else []
    header = ["callers", "photos/s", "of the limit", "p50 ms", "p99 ms", "processor ms a photo", "of these the parts'"]
    return "\n".join([
        "## Throughput",
        "",
        "Milliseconds of a processor that a photo takes, with as many inferences side by side as there are processors:",
        "",
        table(["part", "ms"], _parts(work, embedding)),
        "",
        f"So {processors} processors allow **{limit:.1f} recognitions a second**. Over HTTP, from a process of their",
        "own on the same machine, callers get:",
        "",
        table(header, [_row(each, work, limit) for each in runs]),
        *(line for path in written for line in ("", f"![Recognitions by callers](images/{path.name})")),
    ])  # fmt: skip


def _row(run: Run, work: Work, limit: float) -> list[str]:
    served = run.served
    return [
        str(served.callers),
        f"{served.per_second:.1f}",
        f"{served.per_second / limit:.0%}",
        f"{served.p50_ms:,.0f}",
        f"{served.p99_ms:,.0f}",
        f"{run.processor_ms:.0f}",
        f"{work.total / run.processor_ms:.0%}",
    ]


def _parts(work: Work, embedding: dict[int, float]) -> list[list[str]]:
    sizes = ", ".join(f"{size}: {ms:.1f}" for size, ms in embedding.items())
    return [
        ["decoding, detection, crop, quality", f"{work.preparing:.1f}"],
        [f"FaceNet, a batch of {work.batch} ({sizes})", f"{work.embedding:.1f}"],
        ["event loop, gallery's process, clients; as they took it", f"{work.rest:.1f}"],
        ["together", f"{work.total:.1f}"],
    ]


def _preparing(settings: Settings, files: ModelFiles, photos: Sequence[Path], seconds: float) -> float:
    """Of a processor, milliseconds a photo."""
    threads = model_threads(settings)
    sharing = Sharing(threads)
    detector = Detector(
        files, threads=threads, min_face=settings.min_face, min_share=settings.min_share, sharing=sharing
    )
    preparation = Preparation(detector, Limits.of(settings))
    contents = [path.read_bytes() for path in photos]

    def prepare(photo: bytes) -> None:
        preparation.prepare(photo, lambda found, _: found[:1], Timings())

    with _many_photos(sharing):
        return _side_by_side(prepare, lambda number: cycle(contents[number:] + contents[:number]), threads, seconds)


def _embedding(settings: Settings, files: ModelFiles, seconds: float) -> dict[int, float]:
    """Of a processor, milliseconds a face, by the size of batches."""
    threads = model_threads(settings)
    sharing = Sharing(threads)
    embedder = open_embedder(
        files, compute="cpu", precision=settings.precision, threads=threads, sharing=sharing, mirror=settings.mirror
    )
    random = np.random.default_rng(0)

    def of(batch: int) -> float:
        crops = random.integers(0, 256, (batch, 160, 160, 3), dtype=np.uint8)
        return _side_by_side(embedder.embed, lambda _: cycle([crops]), threads, seconds / len(BATCHES)) / batch

    with _many_photos(sharing):
        return {batch: of(batch) for batch in BATCHES}


def _many_photos(sharing: Sharing) -> ExitStack:
    """As if as many photos were there as there are processors: each inference has one thread."""
    stack = ExitStack()
    for _ in range(sharing.threads):
        stack.enter_context(sharing.photo())
    return stack


def _side_by_side(
    work: Callable[[Item], object], items: Callable[[int], Iterator[Item]], threads: int, seconds: float
) -> float:
    """Milliseconds of processor time that an item takes, while as many threads do the same; `items` are a thread's."""

    def run(number: int, seconds: float) -> int:
        endless = items(number)
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds or not done:
            work(next(endless))
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: run(number, seconds=0), range(threads)))  # compiles
        began = time.process_time()
        done = sum(pool.map(lambda number: run(number, seconds), range(threads)))
        return (time.process_time() - began) * 1000 / done


async def _served(settings: Settings, photos: Sequence[Path], seconds: float) -> list[Run]:
    """What callers get of a service."""
    runs = []
    async with service_process(settings) as (pid, url):
        await enroll(url, photos[:ENROLLED])
        await clients_in_own_process(url, photos, clients=max(CALLERS), seconds=min(2.0, seconds))  # compiles
        for callers in CALLERS:
            before = _processor_s(pid)
            report = await clients_in_own_process(url, photos, clients=callers, seconds=seconds)
            took, rest = (
                (now - then) * 1000 / report["answered"] + report["own_ms"]
                for then, now in zip(before, _processor_s(pid), strict=True)
            )
            served = Served(callers, report["per_second"], report["p50_ms"], report["p99_ms"])
            runs.append(Run(served, took, rest))
    return runs


def _processor_s(pid: int) -> tuple[float, float]:
    """Seconds of processor time that a service and its processes had so far, and without its threads for photos.

    Those left out are all threads of the service but the first, which runs the event loop.
    """
    main = Path(f"/proc/{pid}/task/{pid}")
    children = [task for child in (main / "children").read_text().split() for task in _tasks(child)]
    rest = _spent_s(main) + sum(map(_spent_s, children))
    return rest + sum(_spent_s(task) for task in _tasks(str(pid)) if task != main), rest


def _tasks(pid: str) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def _spent_s(task: Path) -> float:
    """Of a thread, from /proc (Linux); nothing of one that is gone."""
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each measurement (%(default)s)")
    parser.add_argument("--picture", type=Path, help="where the plot goes")
    options = parser.parse_args()
    print(throughput_section(Settings.from_env(os.environ), options.photo, options.picture, options.seconds))
