"""A crowd never stops the door: on a running service, whatever many others do, one more device is served."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.support.crowd import CROWD, HEAD, LARGE, PHOTO_HEAD, Door, hang_up, metric, peers
from tests.support.device import jpeg
from tests.support.processes import Running, launch, listening

pytestmark = [pytest.mark.process, pytest.mark.slow]

FILES = 300
"""What the service may open in some tests: 128 of them are for what is no connection, and half of the rest for one
address."""
MB = 2**20
LARGE_PICTURES = {"FACE_PICTURE_SIDE": "1600", "FACE_QUALITY": "off"}
FACES = 30


@asynccontextmanager
async def running(folder: Path, settings: Mapping[str, str] | None = None, *, files: int = 0) -> AsyncIterator[Running]:
    """A service in a process of its own, with that many open files at most where a number is given."""
    started = await launch({"FACE_DATA": str(folder), "FACE_MODEL": "casia-webface", **(settings or {})})
    if files:
        resource.prlimit(started.process.pid, resource.RLIMIT_NOFILE, (files // 2, files))
    try:
        yield await listening(started)
    finally:
        await started.kill()


@pytest.fixture
async def crowd() -> AsyncIterator[ExitStack]:
    """Whatever is put there is closed at the end of the test."""
    with ExitStack() as stack:
        yield stack
    await asyncio.sleep(0.1)


def memory_mb(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


class TestConnections:
    async def test_a_thousand_idle_ones(self, tmp_path: Path, crowd: ExitStack, portraits: dict[str, bytes]) -> None:
        """The limit of open files is raised; one address has its half of the connections, the older make room, and
        the log says it once.
        """
        async with running(tmp_path, files=FILES) as service:
            idle = await peers(crowd, service.port, 1000)
            async with Door(service) as door:
                assert await door.recognise(portraits["obama"]) == []
                told = await door.metrics()
            assert metric(told, "face_connections") <= FILES - 128
            assert metric(told, "process_max_fds") == FILES
            assert metric(told, 'face_connections_closed_total{reason="idle"}') >= 800
            assert sum(each.is_closed() for each in idle) >= 800
            service.signal(signal.SIGTERM)
            assert await service.ended() == 0
        assert "At most 172 connections" in service.log
        assert "Traceback" not in service.log

    async def test_ones_that_are_busy(self, tmp_path: Path, crowd: ExitStack, portraits: dict[str, bytes]) -> None:
        """Bodies that trickle in make no room: more from their address are closed as they come, another's stay."""
        async with running(tmp_path, files=FILES) as service:
            slow = await peers(crowd, service.port, 200, HEAD % LARGE + PHOTO_HEAD)
            async with Door(service) as door:
                assert await door.recognise(portraits["obama"]) == []
                told = await door.metrics()
            closed = [metric(told, f'face_connections_closed_total{{reason="{each}"}}') for each in ("address", "idle")]
            assert closed[0] > 0
            assert sum(closed) >= 100
            assert sum(each.is_closed() for each in slow) >= 100
            service.signal(signal.SIGTERM)
            service.signal(signal.SIGTERM)
            await service.ended()
        assert service.log.count("Connections are refused") == 1

    async def test_no_files_left(self, tmp_path: Path, crowd: ExitStack, portraits: dict[str, bytes]) -> None:
        """Who comes then is turned away without a traceback, and idle connections make room for the next."""
        async with running(tmp_path) as service:
            await peers(crowd, service.port, 20)
            async with Door(service) as door:
                assert await door.recognise(portraits["obama"]) == []
                used = open_files(service.process.pid)
                resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (used, used))
                await peers(crowd, service.port, 5)
                assert await door.recognise(portraits["obama"]) == []
                assert metric(await door.metrics(), 'face_connections_closed_total{reason="files"}') >= 1
            service.signal(signal.SIGTERM)
            await service.ended()
        assert "Traceback" not in service.log
        assert service.log.count("LimitNOFILE") == 1


class TestUploads:
    async def test_unfinished_ones(self, tmp_path: Path, crowd: ExitStack, portraits: dict[str, bytes]) -> None:
        """Beyond the limit the answer comes at once and says when to try again; the door has its room; and what was
        sent is out of memory as soon as its connection ends, round after round.
        """
        sent = HEAD % (LARGE + 100) + PHOTO_HEAD + b"\xff\xd8\xff" + bytes(LARGE - 100)
        # A proxy's bytes are read as fast as they come, those of anybody else who is refused again and again aren't.
        settings = {"FACE_MAX_UPLOADS_BYTES": str(64 * MB), "FACE_TRUSTED_PROXIES": CROWD}
        async with running(tmp_path, settings) as service, Door(service) as door:
            await door.register(portraits["obama"], "somebody")
            used: list[float] = []
            for _ in range(5):
                with ExitStack() as round_:
                    unfinished = await peers(round_, service.port, 20, sent)
                    async with asyncio.timeout(20):
                        while sum(b"try again in 1 s" in each.received for each in unfinished) < 14:  # noqa: ASYNC110
                            await asyncio.sleep(0.02)
                    told = await door.metrics()
                    assert 0 < metric(told, "face_upload_bytes") <= 64 * MB
                    assert metric(told, "face_uploads_refused_total") >= 14
                    assert [each["remark"] for each in await door.recognise(portraits["obama2"])] == ["somebody"]
                await hang_up(unfinished)
                await door.until("face_upload_bytes", lambda held: held == 0)
                used.append(memory_mb(service.process.pid))
            assert used[-1] - used[2] < 30  # in the first rounds networks are still being compiled

    async def test_below_v1(self, tmp_path: Path, crowd: ExitStack) -> None:
        """The answer is a problem with HTTP's status and Retry-After."""
        async with running(tmp_path, {"FACE_MAX_UPLOADS_BYTES": "1000"}) as service:
            head = b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 99999\r\n\r\n"
            [first] = await peers(crowd, service.port, 1, head + bytes(2000))
            [second] = await peers(crowd, service.port, 1, head + bytes(2000))
            answer = second.received
        assert first.received == b""
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "overloaded"


class TestAnswersThatNobodyReads:
    async def test_lists_exports_and_pictures(
        self, tmp_path: Path, crowd: ExitStack, portraits: dict[str, bytes]
    ) -> None:
        """Each ends by the deadline of FACE_SEND_S, without an end that could be taken for that of a whole answer."""
        async with running(tmp_path, {"FACE_SEND_S": "1", **LARGE_PICTURES}) as service, Door(service) as door:
            number = await self.fill(door, portraits["obama"])
            paths = ("/get_registration_face", "/v1/export", "/v1/faces?include=picture&limit=100")
            wires = [f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths]
            wires.append(f"GET /v1/faces/{number}/picture HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 2000)
            unread = [each for wire in wires for each in await peers(crowd, service.port, 1, wire, reads=False)]
            await door.until('face_connections_closed_total{reason="unread"}', lambda closed: closed == len(wires))
            for each in unread[:2]:
                assert not (await each.rest()).endswith(b"0\r\n\r\n")
            assert len(await door.faces()) == FACES
            service.signal(signal.SIGTERM)
            await service.ended()
        assert "cut_off" in service.log
        assert "took next to nothing of its answer for 1 s." in service.log
        assert "Traceback" not in service.log

    async def test_a_stop_does_not_wait_for_them(
        self, tmp_path: Path, crowd: ExitStack, portraits: dict[str, bytes]
    ) -> None:
        """A long list, an export and an upload that are under way end with the service, none as if it were whole."""
        async with running(tmp_path, {"FACE_SEND_S": "2", "FACE_RECEIVE_S": "4", **LARGE_PICTURES}) as service:
            async with Door(service) as door:
                await self.fill(door, portraits["obama"])
            wires = [
                f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in ("/get_registration_face", "/v1/export")
            ]
            unread = [each for wire in wires for each in await peers(crowd, service.port, 1, wire, reads=False)]
            [upload] = await peers(crowd, service.port, 1, HEAD % LARGE + PHOTO_HEAD + bytes(1000))
            service.signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await service.ended() == 0
            for each in unread:
                assert not (await each.rest()).endswith(b"0\r\n\r\n")
            assert b"1001" in await upload.rest()

    async def fill(self, door: Door, photo: bytes) -> int:
        """Give the gallery faces whose pictures are more than the sockets' own buffers hold; the number of one."""
        large = Image.open(io.BytesIO(photo)).resize((1600, 1600))
        noise = Image.effect_noise(large.size, 40).convert("RGB")
        noisy = jpeg(Image.blend(large, noise, 0.2), quality=70)
        for number in range(FACES):
            await door.register(noisy, f"{number}")
        faces = await door.faces()
        assert sum(len(each["picture"]) for each in faces) > 8 * MB
        return int(faces[0]["face_id"])


class TestSlowClients:
    async def test_heads_and_bodies_that_trickle_in(
        self, tmp_path: Path, crowd: ExitStack, portraits: dict[str, bytes]
    ) -> None:
        """They are given up by the deadline of FACE_RECEIVE_S, and the door is served meanwhile."""
        async with running(tmp_path, {"FACE_RECEIVE_S": "2"}) as service, Door(service) as door:
            heads = await peers(crowd, service.port, 200, b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            bodies = await peers(crowd, service.port, 200, HEAD % LARGE + PHOTO_HEAD)
            assert await door.recognise(portraits["obama"]) == []
            async with asyncio.timeout(30):
                while not all(each.is_closed() for each in (*heads, *bodies)):
                    for each in (*heads, *bodies):
                        each.send(b"x")
                    await asyncio.sleep(0.2)
            assert all(b"over 2 s" in each.received for each in bodies)
            assert await door.recognise(portraits["obama"]) == []


COSTLY = {
    "a compressed body": HEAD[:-2] % LARGE + b"Content-Encoding: gzip\r\n\r\n" + bytes(LARGE),
    "a preamble": HEAD % (100 * MB) + b"\r\n" * (2 * MB),
    "chunks of one byte": HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked")
    + b"%x\r\n" % len(PHOTO_HEAD)
    + PHOTO_HEAD
    + b"\r\n"
    + b"1\r\nx\r\n" * MB,
    "a query of thousands": b"GET /get_registration_face?" + b"a&" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "an expectation": HEAD[:-2] % LARGE + b"Expect: bogus\r\n\r\n",
    "a tunnel": b"CONNECT /recognition_face HTTP/1.1\r\nHost: x\r\n\r\n",
}
"""What would cost much more than it takes to send."""


class TestCostlyBytes:
    @pytest.mark.parametrize("path", ["/recognition_face", "/v1/detect"])
    async def test_are_refused_before_they_cost_anything(self, tmp_path: Path, crowd: ExitStack, path: str) -> None:
        """In the form of the path: the envelope, below /v1 a problem; soon, and without reading them to their end."""
        async with running(tmp_path) as service, Door(service) as door:
            for name, sent in COSTLY.items():
                wire = sent.replace(b"/recognition_face", path.encode(), 1)
                if "query" in name:
                    wire = wire.replace(b"/get_registration_face", path.encode())
                [peer] = await peers(crowd, service.port, 1, wire)
                async with asyncio.timeout(10):
                    answer = await peer.answer()
                status, told = int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])
                if path.startswith("/v1"):
                    assert 400 <= status < 500, name
                    assert told["code"] in {"invalid_request", "malformed_request"}, name
                else:
                    assert status == 200, name
                    assert told["code"] == 1001, name
            assert await door.succeeds("GET", "/get_registration_face") == {"all_face": []}
