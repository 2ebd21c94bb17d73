"""Faults of a running service: nothing that was answered is lost, nothing is there twice, and nobody hangs."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, FormData
from PIL import Image

from service.models.selection import ModelFiles
from tests.conftest import MODELS
from tests.support.device import jpeg, variants
from tests.support.processes import Running, gallery_process, launch, listening

pytestmark = [pytest.mark.process, pytest.mark.slow]

KILLS = 10
AT_ONCE = 64


@pytest.fixture
def environ(tmp_path: Path, files: ModelFiles) -> dict[str, str]:
    return {"FACE_DATA": str(tmp_path / "data"), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": files.contract.model}


async def register(session: ClientSession, photo: bytes, remark: str) -> bool:
    """Whether it was answered as done."""
    form = FormData()
    form.add_field("image", photo, filename="x.jpg")
    try:
        async with session.post("/registration_face", params={"remark": remark}, data=form) as answer:
            return str((await answer.json())["code"]) == "0"
    except (ClientError, OSError, ValueError):
        return False


async def remarks(session: ClientSession) -> list[str]:
    async with session.get("/get_registration_face") as answer:
        return [each["remark"] for each in json.loads(await answer.text())["data"]["all_face"]]


async def killed_while_registering(
    running: Running, photos: list[bytes], answered: set[str], *, after: int, then_s: float, run: int
) -> None:
    """AT_ONCE registrations at once, and SIGKILL of every process some time after so many of them are answered."""
    enough, before = asyncio.Event(), len(answered)

    async def one(number: int) -> None:
        remark = f"{run}-{number}"
        if await register(session, photos[(run * AT_ONCE + number) % len(photos)], remark):
            answered.add(remark)
            if len(answered) - before >= after:
                enough.set()

    async with ClientSession(running.url) as session:
        tasks = [asyncio.create_task(one(number)) for number in range(AT_ONCE)]
        async with asyncio.timeout(60):
            await enough.wait()
        await asyncio.sleep(then_s)
        await running.kill()
        await asyncio.gather(*tasks)


async def test_kills_at_random_moments(environ: dict[str, str], portraits: dict[str, bytes]) -> None:
    """Ten times, under 64 registrations at once: each answered one is there after the restart, none twice."""
    rng = random.Random(5)
    with Image.open(io.BytesIO(portraits["obama"])) as photo:
        photos = list(variants(jpeg(photo.resize((96, 120))), 2 * AT_ONCE))
    answered: set[str] = set()
    for run in range(KILLS):
        running = await listening(await launch(environ))
        try:
            after, then_s = rng.randrange(1, 40), rng.uniform(0, 0.05)
            await killed_while_registering(running, photos, answered, after=after, then_s=then_s, run=run)
        finally:
            await running.kill()
    running = await listening(await launch(environ))
    try:
        async with ClientSession(running.url) as session:
            found = Counter(await remarks(session))
    finally:
        await running.kill()
    assert len(answered) >= KILLS
    assert answered <= found.keys()
    assert set(found.values()) == {1}


async def test_a_gallery_that_is_stopped(environ: dict[str, str], portraits: dict[str, bytes]) -> None:
    """Requests are answered within 5 seconds, so is readiness; the process is replaced, and everything is there."""
    running = await listening(await launch(environ))
    try:
        async with ClientSession(running.url) as session:
            assert await register(session, portraits["obama"], "before")
            process = gallery_process(running.data)
            assert process is not None
            os.kill(process, signal.SIGSTOP)
            begin = time.monotonic()
            hit = [session.get("/get_registration_face") for _ in range(5)] + [session.get("/readyz") for _ in range(5)]
            for answer in await asyncio.gather(*hit):
                told = await answer.json()
                assert str(told.get("code", answer.status)) in {"1004", "503", "200"}
            assert time.monotonic() - begin < 6
            async with asyncio.timeout(30):
                while not await register(session, portraits["biden"], "after"):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
            assert gallery_process(running.data) not in (None, process)
            assert await remarks(session) == ["before", "after"]
    finally:
        await running.kill()
