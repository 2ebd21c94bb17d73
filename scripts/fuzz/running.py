"""The service that is fuzzed, in a process of its own, its log in a file, and the memory that it takes."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.resident import resident_mb

_START_S = 90.0
_STOP_S = 60.0


_EVERYTHING = {
    "FACE_COMPREFACE": "yes",
    "FACE_PUBLIC_URL": "http://127.0.0.1:5055",
    "FACE_PICTURE_KEY": "0123456789" * 4,
    "FACE_RETENTION_DAYS": "30",
}
"""Settings with which all is there that may be asked for, unless the environment has others."""


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """A running service: where it listens, and what it has written."""

    process: asyncio.subprocess.Process
    port: int
    log_file: Path

    @property
    def log(self) -> str:
        """All that it has written by now."""
        return written(self.log_file)

    def memory_mb(self) -> float:
        """Resident megabytes of the service and of every process below it; 0 where /proc isn't there."""
        return resident_mb(self.process.pid)


@asynccontextmanager
async def fuzzed_service(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Fuzzed]:
    """`python -m service` in that environment with its FACE_* settings, its gallery and log in `folder`.

    Raises RuntimeError where it doesn't start, or doesn't stop when it is told to.
    """
    log_file = folder / "log"
    ours = {"FACE_HOST": "127.0.0.1", "FACE_PORT": "0", "FACE_DATA": str(folder / "data")}
    ours |= {"FACE_AUDIT": str(folder / "events")}
    ours["FACE_TRUSTED_PROXIES"] = "127.0.0.1"  # else thousands of refusals would be answered slowly
    with log_file.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service"), env={**_EVERYTHING, **environ, **ours}, stderr=stderr
        )
    try:
        yield Fuzzed(process, await _port(process, log_file), log_file)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            process.kill()
            raise RuntimeError(f"The service did not stop within {_STOP_S:.0f} s.") from None


def written(log_file: Path) -> str:
    """A log as text."""
    return log_file.read_text(errors="replace")


async def _port(process: asyncio.subprocess.Process, log_file: Path) -> int:
    async with asyncio.timeout(_START_S):
        while process.returncode is None:
            if found := re.search(r"Running on \w+://[^ \"]+:(\d+)", written(log_file)):
                return int(found[1])
            await asyncio.sleep(0.1)
    raise RuntimeError(f"The service did not start:\n{written(log_file)}")
