"""What device authentication adds to a recognition over HTTP: the same photos in turns to a service that asks for
signatures and to one that doesn't.

Run alone as `python -m scripts.bench.signing PHOTO ...`.
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
from scripts.bench.serving import running
from scripts.device_client import signed_headers
from service.settings import Settings

_DEVICE = "door-7"
_SECRET = "0123456789abcdef" * 4


async def signing_section(settings: Settings, photos: Sequence[Path], pairs: int = PAIRS) -> str:
    """A report section in Markdown of so many pairs; `photos` are small portraits such as LFW's."""
    with tempfile.TemporaryDirectory() as folder:
        devices = Path(folder) / "devices.toml"
        devices.touch(0o600)
        devices.write_text(f'[{_DEVICE}]\nsecrets = ["{_SECRET}"]\n')
        plain = dataclasses.replace(settings, data=Path(folder) / "plain", devices=None, host="127.0.0.1")
        locked = dataclasses.replace(plain, data=Path(folder) / "locked", devices=devices)
        async with (
            running(plain) as open_url,
            running(locked) as locked_url,
            aiohttp.ClientSession() as session,
        ):
            took = await pairs_of(
                lambda photo: _recognise(session, open_url, photo),
                lambda photo: _recognise(session, locked_url, photo),
                [path.read_bytes() for path in photos],
                pairs,
            )
    compared = pairs_table(took, "recognition, unsigned", "recognition, signed and verified")
    return f"## Device authentication\n\n{compared}"


async def _recognise(session: aiohttp.ClientSession, url: str, photo: bytes) -> float:
    """Milliseconds; signing, which is the device's work, is not among them, its headers are."""
    headers = signed_headers(_DEVICE, _SECRET, "POST", "/recognition_face", "", photo)
    form = aiohttp.FormData()
    form.add_field("image", photo, filename="photo.jpg", content_type="image/jpeg")
    began = time.perf_counter()
    async with session.post(f"{url}/recognition_face", data=form, headers=headers) as response:
        answer = await response.json()
    milliseconds = (time.perf_counter() - began) * 1000
    if answer["code"] not in (0, 1005):  # 1005: a photo without a face
        raise RuntimeError(f"the service answered {answer['code']} {answer['detail']}")
    return milliseconds


if __name__ == "__main__":
    print(asyncio.run(signing_section(Settings.from_env(os.environ), [Path(each) for each in sys.argv[1:]])))
