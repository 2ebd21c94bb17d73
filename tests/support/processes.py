"""Real processes: the service and the indexer as people start them, and the gallery's process behind a service."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 60.0

END_LIMIT_S = 300.0
"""For a command that imports some hundred photos, on a machine that has other work too."""


@dataclass(slots=True)
class Running:
    """A service or a command in a process (and process group) of its own."""

    process: Process
    data: Path
    port: int = 0
    log: str = ""
    """What it wrote up to «Running on»; all of it after `ended`."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ended(self) -> int:
        """Wait until it has ended; its exit status."""
        assert self.process.stderr is not None
        async with asyncio.timeout(END_LIMIT_S):
            self.log += (await self.process.stderr.read()).decode()
            return await self.process.wait()

    def signal(self, number: signal.Signals, group: bool = False) -> None:
        """Signal the service alone, or all of its group as a terminal and systemd do."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    async def kill(self) -> None:
        """SIGKILL every process, as a power cut would."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL, group=True)
        await self.ended()


async def launch(environ: dict[str, str], *arguments: str, module: str = "service") -> Running:
    """`python -m service` (or `indexer`) with these FACE_* variables (FACE_DATA among them), not waited for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FACE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        env={**kept, "FACE_HOST": "127.0.0.1", "FACE_PORT": "0", **environ},
        cwd=ROOT,
        stdin=DEVNULL,
        stderr=PIPE,
        start_new_session=True,
    )
    return Running(process, Path(environ["FACE_DATA"]))


def service_command(name: str, path: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m service devices …` or `keys …`, on that file."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FACE_")}
    environ |= {} if path is None else {f"FACE_{name.upper()}": str(path)}
    line = [sys.executable, "-m", "service", name, *words]
    return subprocess.run(line, check=False, cwd=ROOT, env=environ, capture_output=True, text=True)


async def listening(running: Running) -> Running:
    """The same, once it says that it is running and on which port."""
    assert running.process.stderr is not None
    async with asyncio.timeout(START_LIMIT_S):
        async for line in running.process.stderr:
            running.log += line.decode()
            if found := re.search(r"Running on \w+://[^ \"]+:(\d+)", running.log):
                running.port = int(found[1])
                return running
    raise AssertionError(f"The service did not start:\n{running.log}")


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened in another process."""
    async with asyncio.timeout(START_LIMIT_S):
        while not happened():  # noqa: ASYNC110 - nobody could set an event from there
            await asyncio.sleep(0.001)


def gallery_process(data: Path) -> int | None:
    """The process that owns the gallery in `data` (FACE_DATA), None where there is none."""
    wanted = f"service.stores.edge.process {(data / 'gallery').absolute()}"
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and wanted in _words((entry / "cmdline").read_bytes()):
                    return int(entry.name)
        return None
    table = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return next((int(line.split()[0]) for line in table.splitlines() if wanted in line), None)


def _words(command_line: bytes) -> str:
    return command_line.replace(b"\0", b" ").decode(errors="replace")


def kill_gallery_process(data: Path) -> None:
    process = gallery_process(data)
    assert process is not None
    os.kill(process, signal.SIGKILL)
