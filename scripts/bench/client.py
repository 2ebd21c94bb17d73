"""The clients of the serving benchmark, in a process of their own: they send photos and count answers.

Run as `python -m scripts.bench.client URL CLIENTS SECONDS < paths`; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp


async def recognise(url: str, photos: list[bytes], clients: int, seconds: float) -> dict[str, float]:
    """Let `clients` ask for recognitions, each one after another.

    Recognitions a second, milliseconds of half and of 99 of 100, how many were answered, and how many milliseconds of
    processor time asking for one took here.
    """
    took: list[float] = []
    endless = itertools.cycle(photos)
    async with aiohttp.ClientSession() as session:
        await _client(session, url, endless, until=0, took=[])  # at least one, to warm up
        began, worked = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_client(session, url, endless, began + seconds, took) for _ in range(clients)))
        elapsed, worked = time.perf_counter() - began, time.process_time() - worked
    took.sort()
    return {
        "per_second": len(took) / elapsed,
        "p50_ms": took[len(took) // 2],
        "p99_ms": took[len(took) * 99 // 100],
        "answered": len(took),
        "own_ms": worked * 1000 / len(took),
    }


async def _client(
    session: aiohttp.ClientSession, url: str, photos: Iterator[bytes], until: float, took: list[float]
) -> None:
    while True:
        form = aiohttp.FormData()
        form.add_field("image", next(photos), filename="photo.jpg", content_type="image/jpeg")
        began = time.perf_counter()
        async with session.post(f"{url}/recognition_face", data=form) as response:
            answer = await response.json()
        if answer["code"] not in (0, 1005):  # 1005: a photo without a face
            raise RuntimeError(f"the service answered {answer['code']} {answer['detail']}")
        took.append((time.perf_counter() - began) * 1000)
        if time.perf_counter() >= until:
            return


if __name__ == "__main__":
    chosen = [Path(line.strip()).read_bytes() for line in sys.stdin]
    print(json.dumps(asyncio.run(recognise(sys.argv[1], chosen, int(sys.argv[2]), float(sys.argv[3])))))
