"""What the image for processors holds, without a container engine: the same packages in a folder, measured and started.

Run alone as `python -m scripts.bench.image PHOTO`: installs them anew (70 MB from PyPI), copies the models that
`make setup` made, and lets that service register and recognise the photo.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from service.commands.markdown import table
from service.models.selection import ModelFiles, prepare
from service.settings import Settings

ROOT = Path(__file__).parents[2]
BASE_MB = 130
"""About what python:3.12-slim takes by itself, unpacked; it can't be measured without a container engine."""
START_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Image:
    """The image's contents: its environment with the project's wheel in it, and its folder of models."""

    venv: Path
    models: Path

    @property
    def megabytes(self) -> dict[str, int]:
        """Of disk, by part; the base image is not among them."""
        return {"packages": megabytes(self.venv), "models": megabytes(self.models)}


def build(folder: Path, files: ModelFiles) -> Image:
    """Make in `folder` what the Dockerfile puts into the last stage; raises CalledProcessError where that fails."""
    image = Image(folder / "venv", folder / "models")
    install = [sys.executable, str(ROOT / "scripts" / "install.py"), "--torch", "none", "--extra", "redis"]
    _run(*install, str(image.venv))
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip"]
    _run(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT))
    [wheel] = wheels.iterdir()
    _run(str(image.venv / "bin" / "pip"), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    for part in (files.facenet.parent, files.pnet.parent):
        shutil.copytree(part, image.models / part.name)
    return image


def megabytes(folder: Path) -> int:
    """What a folder takes on disk, as `du -sm` says it."""
    sizes = {(stat := path.lstat()).st_ino: stat.st_blocks * 512 for path in folder.rglob("*")}
    return round(sum(sizes.values()) / 2**20)


@asynccontextmanager
async def started(image: Image, model: str, data: Path) -> AsyncIterator[str]:
    """The address of a service that runs from the image's environment alone, with a gallery in `data`."""
    environ = {"FACE_DATA": str(data), "FACE_MODEL_DIR": str(image.models), "FACE_MODEL": model}
    process = await asyncio.create_subprocess_exec(
        image.venv / "bin" / "face-service",
        env={"PATH": os.defpath, "FACE_HOST": "127.0.0.1", "FACE_PORT": "0", **environ},
        cwd=data.parent,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr  # noqa: S101 - opened as a pipe
    try:
        async with asyncio.timeout(START_LIMIT_S):
            url = await _address(process.stderr)
        draining = asyncio.create_task(process.stderr.read())
        yield url
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
    await draining


async def _address(log: asyncio.StreamReader) -> str:
    """Where the service whose log this is says that it is running; raises RuntimeError where it leaves before."""
    said = ""
    async for line in log:
        said += line.decode()
        if found := re.search(r"Running on (http://[\d.:]+)", said):
            return found[1]
    raise RuntimeError(f"The service did not start:\n{said}")


async def remembers(url: str, photo: bytes) -> bool:
    """Whether the service there registers the photo and then recognises it."""
    async with aiohttp.ClientSession(url) as session:
        await _send(session, "/registration_face?remark=somebody", photo)
        found = await _send(session, "/recognition_face", photo)
    return found["code"] == 0 and bool(found["data"]["recognition_face"])


async def _send(session: aiohttp.ClientSession, path: str, photo: bytes) -> dict[str, Any]:
    """The envelope that a photo gets there."""
    form = aiohttp.FormData()
    form.add_field("image", photo, filename="photo.jpg", content_type="image/jpeg")
    async with session.post(path, data=form) as response:
        envelope: dict[str, Any] = await response.json()
    return envelope


def report(image: Image, seconds: float) -> str:
    """The sizes as a table, and how long the service took to start."""
    sizes = {**image.megabytes, "python:3.12-slim (not measured here)": BASE_MB}
    rows = [[part, str(size)] for part, size in (sizes | {"all": sum(sizes.values())}).items()]
    return f"{table(['part', 'MB'], rows)}\n\nThe service was ready {seconds:.1f} s after its start, without torch."


async def main(photo: bytes) -> None:
    """Build, start, register, recognise and print the sizes."""
    files = prepare(Settings(model="casia-webface", model_dir=ROOT / "models"), kept=None)
    with tempfile.TemporaryDirectory() as folder:
        image = build(Path(folder), files)
        began = time.perf_counter()
        async with started(image, files.contract.model, Path(folder) / "data") as url:
            seconds = time.perf_counter() - began
            if not await remembers(url, photo):
                sys.exit("The service does not recognise what it has registered.")
        print(report(image, seconds))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - this file's own commands


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_bytes()))
