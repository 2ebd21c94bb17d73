"""Files that keep readers busy are sent to a real service: a door's recognitions go on, and it stops as ever."""

from __future__ import annotations

import asyncio
import io
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, FormData

from service.models.selection import ModelFiles
from tests.conftest import MODELS
from tests.support import bombs
from tests.support.device import Device, form
from tests.support.processes import Running, launch, listening, until

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

DECODING = "service.vision.decoding.process"


@pytest.fixture
async def service(tmp_path: Path, files: ModelFiles) -> AsyncIterator[Running]:
    """One that listens, with a second for each photo."""
    environ = {
        "FACE_DATA": str(tmp_path / "data"),
        "FACE_MODEL_DIR": str(MODELS),
        "FACE_MODEL": files.contract.model,
        "FACE_THREADS": "2",
        "FACE_DECODE_S": "1",
    }
    running = await listening(await launch(environ))
    yield running
    await running.kill()


def decoding_processes(service: Running) -> list[int]:
    """Those that the service started."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return [int(each) for each in children if DECODING in _command(each)]


def _command(pid: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def streamed(photo: bytes) -> FormData:
    """A form with a photo that is too large to be sent at once."""
    sent = FormData()
    sent.add_field("image", io.BytesIO(photo), filename="photo", content_type="image/jpeg")
    return sent


def are_gone(pids: list[int]) -> Callable[[], bool]:
    """Ended, or only not yet buried."""

    def gone() -> bool:
        states = [_status(each) for each in pids]
        return all(not state or "(zombie)" in state for state in states)

    return gone


def _status(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/status").read_text()
    return ""


async def test_doors_open_while_two_clients_send_every_file_in_turns(
    service: Running, portraits: dict[str, bytes]
) -> None:
    """Each file is answered with 0 or 1005 and a sentence; each recognition is right, and none waits for a file."""
    everything = dict(bombs.all_bombs())
    answers: dict[str, str] = {}
    async with ClientSession(service.url) as session:
        device = Device(session)
        await device.register(portraits["obama"], "obama")

        async def send(names: list[str]) -> None:
            for name in names:
                answer = await device.ask("POST", "/recognition_face", data=streamed(everything[name]))
                assert answer["code"] == 1005, answer
                answers[name] = answer["detail"]

        async def recognise_until(finished: asyncio.Future[Any]) -> float:
            """Seconds that nine of ten recognitions took at most."""
            took = []
            while not finished.done():
                began = time.monotonic()
                [match] = await device.recognise(portraits["obama2"])
                took.append(time.monotonic() - began)
                assert match["remark"] == "obama"
                await asyncio.sleep(0.05)
            await finished
            return sorted(took)[int(len(took) * 0.9)]

        idle_s = await recognise_until(asyncio.ensure_future(asyncio.sleep(5)))
        names = list(everything)
        busy_s = await recognise_until(asyncio.gather(send(names), send(names[::-1])))
    assert busy_s < max(1.0, 5 * idle_s), "a recognition waited for a file"
    for name, sentence in answers.items():
        assert sentence.endswith("."), name
    assert "unforeseen" not in service.log
    assert "Traceback" not in service.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_decoding_process_outlives_the_service(service: Running, number: signal.Signals) -> None:
    """Told to stop, it answers what it decodes, within its deadline; killed, it takes them along."""
    photo = bombs.slow_scans()
    async with ClientSession(service.url) as session:
        sent = [
            asyncio.create_task(Device(session).ask("POST", "/recognition_face", data=form(photo))) for _ in range(3)
        ]
        await until(lambda: len(decoding_processes(service)) == 2)
        pids = decoding_processes(service)
        await asyncio.sleep(0.3)
        told = time.monotonic()
        service.signal(number)
        status = await service.ended()
        assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert time.monotonic() - told < 35
        await asyncio.gather(*sent, return_exceptions=True)
    await until(are_gone(pids))
    assert "Traceback" not in service.log
