"""What device authentication adds to a recognition over HTTP: the same photos in turns to a service that asks for
signatures and to one that doesn't.

Run alone as `python -m scripts.bench.signing PHOTO ...`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import numpy as np

from scripts.bench.serving import running
from scripts.device_client import signed_headers
from service.commands.markdown import table
from service.settings import Settings

PAIRS = 1000
_WARM_UP = 50
_DEVICE = "door-7"
_SECRET = "0123456789abcdef" * 4


async def signing_section(settings: Settings, photos: Sequence[Path]) -> str:
    """A report section in Markdown; `photos` are small portraits such as LFW's."""
    with tempfile.TemporaryDirectory() as folder:
        devices = Path(folder) / "devices.toml"
        devices.touch(0o600)
        devices.write_text(f'[{_DEVICE}]\nsecrets = ["{_SECRET}"]\n')
        plain = dataclasses.replace(settings, data=Path(folder) / "plain", devices=None, host="127.0.0.1")
        locked = dataclasses.replace(plain, data=Path(folder) / "locked", devices=devices)
        async with running(plain) as open_url, running(locked) as locked_url:
            took = await _in_turns(open_url, locked_url, [path.read_bytes() for path in photos])
    return _report(took)


async def _in_turns(open_url: str, locked_url: str, photos: Sequence[bytes]) -> list[tuple[float, float]]:
    """Milliseconds of each photo's recognition, unsigned and signed, one right after the other, in turns as to which
    is first.
    """
    took = []
    async with aiohttp.ClientSession() as session:
        for number, photo in enumerate(itertools.islice(itertools.cycle(photos), _WARM_UP + PAIRS)):
            pair = {}
            for url in (open_url, locked_url) if number % 2 else (locked_url, open_url):
                pair[url] = await _recognise(session, url, photo)
            took.append((pair[open_url], pair[locked_url]))
    return took[_WARM_UP:]


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


def _report(took: Sequence[tuple[float, float]]) -> str:
    """The median difference of the pairs, and between which values it is with a probability of 95 %."""
    pairs = np.array(took)
    unsigned, signed = np.median(pairs, axis=0)
    added = np.sort(pairs[:, 1] - pairs[:, 0])
    reach = 0.98 * math.sqrt(len(added))  # of ranks about the median: 1.96 deviations of half a binomial's
    low, middle, high = added[[int(len(added) / 2 - reach), len(added) // 2, math.ceil(len(added) / 2 + reach)]]
    rows = [
        ["recognition, unsigned", f"{unsigned:.2f} ms"],
        ["recognition, signed and verified", f"{signed:.2f} ms"],
        ["verification adds, median of pairs (95 %)", f"{middle:.2f} ms ({low:.2f} to {high:.2f})"],
        ["of an unsigned recognition", f"{middle / unsigned:.1%} ({low / unsigned:.1%} to {high / unsigned:.1%})"],
    ]
    return "\n".join(["## Device authentication", "", table([f"{len(took):,} pairs", "median"], rows)])


if __name__ == "__main__":
    print(asyncio.run(signing_section(Settings.from_env(os.environ), [Path(each) for each in sys.argv[1:]])))
