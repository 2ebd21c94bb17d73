"""What `/v1/identify` takes beside the devices' recognition: the same photos in turns to the same service.

Its gallery has all of them, and each answer five pictures.

Run alone as `python -m scripts.bench.rest PHOTO ...`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from scripts.bench.pairs import PAIRS, pairs_of, pairs_table
from scripts.bench.serving import enroll, running
from service.settings import Settings


async def rest_section(settings: Settings, photos: Sequence[Path], pairs: int = PAIRS) -> str:
    """A report section in Markdown of so many pairs; `photos` are small portraits such as LFW's."""
    with tempfile.TemporaryDirectory() as folder:
        ours = dataclasses.replace(settings, data=Path(folder) / "gallery", devices=None, host="127.0.0.1")
        async with running(ours) as url, aiohttp.ClientSession() as session:
            await enroll(url, photos)
            took = await pairs_of(
                lambda photo: _ask(session, f"{url}/recognition_face", photo),
                lambda photo: _ask(session, f"{url}/v1/identify?group=face&include=picture", photo),
                [path.read_bytes() for path in photos],
                pairs,
            )
    return f"## The /v1 API\n\n{pairs_table(took, 'POST /recognition_face', 'POST /v1/identify')}"


async def _ask(session: aiohttp.ClientSession, url: str, photo: bytes) -> float:
    """Milliseconds to the whole answer."""
    form = aiohttp.FormData()
    form.add_field("image", photo, filename="photo.jpg", content_type="image/jpeg")
    began = time.perf_counter()
    async with session.post(url, data=form) as response:
        await response.json()
    milliseconds = (time.perf_counter() - began) * 1000
    if not response.ok:
        raise RuntimeError(f"{url} answered {response.status}")
    return milliseconds


if __name__ == "__main__":
    print(asyncio.run(rest_section(Settings.from_env(os.environ), [Path(each) for each in sys.argv[1:]])))
