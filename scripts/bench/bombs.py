"""What files that keep readers busy do to a door: two clients send every kind in turns while it recognises.

Run alone as `python -m scripts.bench.bombs PHOTO ...`; the files are those of the tests.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import itertools
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from scripts.bench.serving import enroll, service_process
from scripts.bench.watching import sampled
from scripts.resident import resident_mb
from service.settings import Settings
from tests.support.bombs import all_bombs

BOMBERS = 2
IDLE_S, BUSY_S = 35.0, 90.0
PAUSE_S = 0.1
"""Between a door's photos."""


@dataclass(slots=True)
class Door:
    """A client that sends a photo after another: how long each took, in milliseconds, and what failed."""

    took_ms: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def p99_ms(self) -> float:
        """The time within which 99 of 100 were answered."""
        return sorted(self.took_ms)[int(len(self.took_ms) * 0.99)]


async def bombs_section(settings: Settings, photos: Sequence[Path]) -> str:
    """A report section in Markdown; `photos` are small portraits such as LFW's."""
    bombs, contents = dict(all_bombs()), [path.read_bytes() for path in photos]
    answers: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        ours = dataclasses.replace(settings, data=Path(folder) / "gallery", devices=None, host="127.0.0.1")
        async with service_process(ours) as (pid, url), aiohttp.ClientSession() as session:
            await enroll(url, photos)
            async with _door(session, url, contents[:20]):
                await asyncio.sleep(3)  # warm
            sending: list[str] = []
            async with _door(session, url, contents) as idle, _watched(pid, sending) as quiet:
                await asyncio.sleep(IDLE_S)
            async with _door(session, url, contents) as busy, _watched(pid, sending) as loaded:
                rounds = [_send_all(session, url, bombs, start, (answers, sending)) for start in range(BOMBERS)]
                await asyncio.gather(*rounds)
            await asyncio.sleep(1)
            after_mb = resident_mb(pid)
            stop_s = await _stop(session, url, pid, bombs)
    rows = [
        ("recognition, p99, idle", f"{idle.p99_ms:.0f} ms ({len(idle.took_ms)} photos)"),
        ("recognition, p99, with all files in turns", f"{busy.p99_ms:.0f} ms ({len(busy.took_ms)} photos)"),
        ("recognitions that failed", str(sum((idle.failed + busy.failed).values()))),
        (
            "memory of all processes: idle, highest, afterwards",
            f"{max(quiet)[0]:.0f}, {max(loaded)[0]:.0f}, {after_mb:.0f} MB",
        ),
        ("what was there when it was highest", ", ".join(max(loaded)[1])),
        ("SIGTERM to the end, with two files in hand", f"{stop_s:.1f} s"),
    ]
    table = [f"| {what} | {value} |" for what, value in rows]
    kinds = [f"| {name} | {len(bombs[name])} | {answers.get(name, '')} |" for name in bombs]
    heads = ("## Files that hurt\n\n| | |\n| --- | --- |", "\n| kind | bytes | answer |\n| --- | ---: | --- |")
    return "\n".join([heads[0], *table, heads[1], *kinds])


@asynccontextmanager
async def _door(session: aiohttp.ClientSession, url: str, photos: Sequence[bytes]) -> AsyncIterator[Door]:
    """One that recognises as long as the block runs."""
    door = Door()

    async def recognise() -> None:
        for photo in itertools.cycle(photos):
            took_s, answer = await _post(session, url, photo)
            door.took_ms.append(took_s * 1000)
            if answer["code"] != 0:
                door.failed[str(answer["detail"])] += 1
            await asyncio.sleep(PAUSE_S)

    task = asyncio.create_task(recognise())
    try:
        yield door
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _send_all(
    session: aiohttp.ClientSession,
    url: str,
    bombs: dict[str, bytes],
    start: int,
    told: tuple[dict[str, str], list[str]],
) -> None:
    """Each file in turns, from the start-th share of them on, until each was sent and BUSY_S are over.

    Told are the answers, and what is being sent.
    """
    (answers, sending), until = told, time.perf_counter() + BUSY_S
    names = list(bombs)
    first = start * len(names) // BOMBERS
    for number, name in enumerate(itertools.cycle(names[first:] + names[:first])):
        if number >= len(names) and time.perf_counter() > until:
            return
        sending.append(name)
        took_s, answer = await _post(session, url, bombs[name])
        sending.remove(name)
        answers[name] = f"{took_s:.1f} s: {answer['detail'] or 'a photo'}"


async def _post(session: aiohttp.ClientSession, url: str, photo: bytes) -> tuple[float, dict[str, object]]:
    form = aiohttp.FormData()
    form.add_field("image", io.BytesIO(photo), filename="photo.jpg", content_type="image/jpeg")
    began = time.perf_counter()
    async with session.post(f"{url}/recognition_face", data=form) as response:
        answer: dict[str, object] = await response.json()
    return time.perf_counter() - began, answer


async def _stop(session: aiohttp.ClientSession, url: str, pid: int, bombs: dict[str, bytes]) -> float:
    """Seconds from SIGTERM until the service is gone, while two files are decoded."""
    names = ("scans of a large JPEG", "16-bit PNG")
    sent = [asyncio.create_task(_post(session, url, bombs[name])) for name in names]
    await asyncio.sleep(0.5)
    began = time.perf_counter()
    os.kill(pid, signal.SIGTERM)
    while _runs(pid):  # noqa: ASYNC110 - nobody sets an event there
        await asyncio.sleep(0.05)
    await asyncio.gather(*sent, return_exceptions=True)
    return time.perf_counter() - began


def _runs(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _watched(pid: int, sending: list[str]) -> AbstractAsyncContextManager[list[tuple[float, list[str]]]]:
    """The memory of all processes, asked for often, and what was being sent then."""
    return sampled(lambda: (resident_mb(pid), list(sending)), 0.05)


if __name__ == "__main__":
    print(asyncio.run(bombs_section(Settings.from_env(os.environ), [Path(each) for each in sys.argv[1:]])))
