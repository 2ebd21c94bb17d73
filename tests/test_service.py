"""The service as people start it: real processes that are killed, stopped, started twice and started wrongly."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import socket
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from PIL import Image

from service.models.selection import ModelFiles
from tests.conftest import MODELS
from tests.support.device import BOUNDARY, Device, jpeg, multipart, register_path, variants
from tests.support.processes import ROOT, Running, gallery_process, kill_gallery_process, launch, listening

pytestmark = [pytest.mark.process, pytest.mark.slow]

BURST = 200
"""Requests at once."""


@pytest.fixture
def environ(tmp_path: Path, files: ModelFiles) -> dict[str, str]:
    """A gallery of the test's own, and models that are there already."""
    return {
        "FACE_DATA": str(tmp_path / "data"),
        "FACE_MODEL_DIR": str(MODELS),
        "FACE_MODEL": files.contract.model,
        "FACE_THREADS": "2",
    }


Launch = Callable[[dict[str, str]], Awaitable[Running]]


@pytest.fixture
async def starting() -> AsyncIterator[Launch]:
    """Starts services without waiting for them; none is left at the end."""
    begun: list[Running] = []

    async def start(environ: dict[str, str]) -> Running:
        begun.append(await launch(environ))
        return begun[-1]

    yield start
    for running in begun:
        await running.kill()


@pytest.fixture
def start(starting: Launch) -> Launch:
    """Starts services, and waits until they listen."""

    async def start(environ: dict[str, str]) -> Running:
        return await listening(await starting(environ))

    return start


@asynccontextmanager
async def device_of(running: Running) -> AsyncIterator[Device]:
    async with ClientSession(running.url) as session:
        yield Device(session)


async def refused(running: Running) -> str:
    """The one sentence of a service that can't start; no process of it is left, nor a traceback."""
    assert await running.ended() == 1
    assert "Traceback" not in running.log
    last = running.log.splitlines()[-1]
    assert last.startswith("The service can't start: ")
    assert last.endswith(".")
    assert gallery_process(running.data) is None
    return last


async def begin_upload(writer: asyncio.StreamWriter, photo: bytes) -> bytes:
    """Send half of a registration, as over a slow line; the other half."""
    body: bytes = multipart(("image", photo))["data"]
    head = f"POST {register_path('slow')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    half = len(body) // 2
    writer.write(head.encode() + body[:half])
    await writer.drain()
    await asyncio.sleep(0.2)
    return body[half:]


class TestDurability:
    async def test_what_was_answered_survives_the_death_of_every_process(
        self, start: Launch, environ: dict[str, str], portraits: dict[str, bytes]
    ) -> None:
        """SIGKILL in the middle of a burst: each answered registration and deletion holds, and none is half done."""
        service = await start(environ)
        photos = {f"{number}": photo for number, photo in enumerate(variants(portraits["obama"], 60))}
        answered: list[str] = []
        async with device_of(service) as device:
            for remark in ("stays", "goes", "goes too"):
                await device.register(portraits["biden"], remark)
            for face in (await device.faces())[1:]:
                await device.delete(face["face_id"])

            async def register(remark: str) -> None:
                await device.register(photos[remark], remark)
                answered.append(remark)
                if len(answered) == 20:
                    await service.kill()

            await asyncio.gather(*(register(remark) for remark in photos), return_exceptions=True)
        assert 20 <= len(answered) < 60
        async with device_of(await start(environ)) as device:
            remarks = await device.remarks()
            assert remarks[0] == "stays"
            assert {"stays", *answered} <= set(remarks)
            assert not {"goes", "goes too"} & set(remarks)
            assert len(remarks) == len(set(remarks))
            assert "goes" not in {match["remark"] for match in await device.recognise(portraits["biden"])}
            await asyncio.gather(*(device.register(photo, remark) for remark, photo in photos.items()))
            assert sorted(await device.remarks()) == sorted(["stays", *photos])

    async def test_the_death_of_the_gallery_process_alone(
        self, start: Launch, environ: dict[str, str], portraits: dict[str, bytes]
    ) -> None:
        """Who is hit gets a clear error, not a hang; the next are served by a new process, and nothing is lost."""
        service = await start(environ)
        async with device_of(service) as device:
            await device.register(portraits["biden"], "before")
            process = gallery_process(service.data)
            assert process is not None
            os.kill(process, signal.SIGSTOP)
            # No more than are read at once: one that waits is answered by the new process.
            hit = [asyncio.create_task(device.ask("GET", "/get_registration_face")) for _ in range(2)]
            await asyncio.sleep(0.3)
            os.kill(process, signal.SIGKILL)
            async with asyncio.timeout(10):
                for answer in await asyncio.gather(*hit):
                    assert answer["code"] == 1004
                    assert "SIGKILL" in answer["detail"]
                await device.register(portraits["obama"], "after")
            assert await device.remarks() == ["before", "after"]
            assert gallery_process(service.data) not in (None, process)


class TestBursts:
    async def test_two_hundred_at_once(
        self, start: Launch, environ: dict[str, str], portraits: dict[str, bytes]
    ) -> None:
        """Different ones: none lost, none doubled. The same one: one face."""
        service = await start(environ)
        with Image.open(io.BytesIO(portraits["obama"])) as photo:
            photos = list(variants(jpeg(photo.resize((96, 120))), BURST))
        async with device_of(service) as device:
            await asyncio.gather(*(device.register(photo, f"{n}") for n, photo in enumerate(photos)))
            assert sorted(map(int, await device.remarks())) == list(range(BURST))
            await asyncio.gather(*(device.delete(face["face_id"]) for face in await device.faces()))
            assert await device.remarks() == []
            await asyncio.gather(*(device.register(photos[0], "same") for _ in range(BURST)))
            assert await device.remarks() == ["same"]


class TestStopping:
    @pytest.mark.parametrize(
        ("number", "group"),
        [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)],
        ids=["SIGTERM", "SIGTERM to the group", "Ctrl-C"],
    )
    async def test_finishes_what_is_in_hand(
        self, start: Launch, environ: dict[str, str], portraits: dict[str, bytes], number: signal.Signals, group: bool
    ) -> None:
        """A photo that is still arriving is registered and answered; then all processes are gone, with status 0."""
        service = await start(environ)
        async with device_of(service) as idle:
            await idle.faces()
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            rest = await begin_upload(writer, portraits["obama"])
            service.signal(number, group)
            await asyncio.sleep(0.5)
            assert service.process.returncode is None
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(rest)
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
            assert json.loads(answer) == {"code": 0, "error": "", "detail": "", "data": {}}
            assert b"Connection: close" in head
            answered = time.monotonic()
            assert await service.ended() == 0
        assert time.monotonic() - answered < 10
        assert gallery_process(service.data) is None
        assert "Traceback" not in service.log

    async def test_the_second_signal_is_in_earnest(
        self, start: Launch, environ: dict[str, str], portraits: dict[str, bytes]
    ) -> None:
        """An upload that doesn't come to its end is no longer waited for."""
        service = await start(environ)
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        await begin_upload(writer, portraits["obama"])
        service.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        service.signal(signal.SIGTERM)
        told = time.monotonic()
        assert await service.ended() == 0
        assert time.monotonic() - told < 15
        assert await reader.read() == b""
        writer.close()
        assert gallery_process(service.data) is None
        assert "Traceback" not in service.log

    async def test_while_it_starts(self, starting: Launch, environ: dict[str, str]) -> None:
        """It leaves nothing behind, and starts as ever afterwards."""
        for delay in (0.3, 0.8, 1.3):
            service = await starting(environ)
            await asyncio.sleep(delay)
            service.signal(signal.SIGTERM, group=True)
            assert await service.ended() in (0, -signal.SIGTERM)
            assert gallery_process(service.data) is None
        await listening(await starting(environ))


class TestRefusals:
    """What can't start says why in one sentence, with status 1, and leaves no process."""

    async def test_a_second_service_on_the_same_folder(
        self, start: Launch, starting: Launch, environ: dict[str, str], portraits: dict[str, bytes]
    ) -> None:
        """The first isn't disturbed."""
        first = await start(environ)
        async with device_of(first) as device:
            await device.register(portraits["obama"], "test")
            second = await starting(environ)
            assert await second.ended() == 1
            last = second.log.splitlines()[-1]
            assert "is open in another process" in last
            assert "FACE_DATA" in last
            assert "Traceback" not in second.log
            assert await device.remarks() == ["test"]

    @pytest.mark.parametrize(
        ("name", "text"),
        [("FACE_PORT", "x"), ("FACE_THRESHOLD", "2"), ("FACE_NOTHING", "1"), ("FACE_LOG_LEVEL", "info")],
    )
    async def test_a_bad_setting(self, starting: Launch, environ: dict[str, str], name: str, text: str) -> None:
        assert name in await refused(await starting({**environ, name: text}))

    async def test_a_port_in_use(self, starting: Launch, environ: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            sentence = await refused(await starting({**environ, "FACE_PORT": port}))
        assert port in sentence
        assert "FACE_PORT" in sentence

    async def test_an_address_that_is_not_ours(self, starting: Launch, environ: dict[str, str]) -> None:
        sentence = await refused(await starting({**environ, "FACE_HOST": "no.such.host.invalid"}))
        assert "FACE_HOST" in sentence

    async def test_weights_that_are_not_there(self, starting: Launch, environ: dict[str, str]) -> None:
        sentence = await refused(await starting({**environ, "FACE_WEIGHTS": "/nowhere.pt", "FACE_MODEL": "auto"}))
        assert "FACE_WEIGHTS" in sentence

    async def test_a_gallery_of_another_model_or_a_damaged_one(
        self, start: Launch, starting: Launch, environ: dict[str, str], portraits: dict[str, bytes]
    ) -> None:
        """It is left as it is, and the way out is told; the parts put back, everything is there."""
        service = await start(environ)
        async with device_of(service) as device:
            await device.register(portraits["obama"], "test")
        service.signal(signal.SIGTERM)
        await service.ended()
        gallery = service.data / "gallery"
        shutil.copytree(gallery, backup := service.data / "backup")
        contract = gallery / "contract.json"
        whole = contract.read_text()

        (gallery / "seal.json").unlink()  # it would tell that somebody changed the contract
        contract.write_text(json.dumps({**json.loads(whole), "model": "vggface2", "digest": "0" * 64}))
        sentence = await refused(await starting(environ))
        assert all(word in sentence for word in ("vggface2", "FACE_MODEL", "FACE_DATA", "indexer reembed"))
        contract.unlink()
        assert "contract.json is missing" in await refused(await starting(environ))
        contract.write_text("{")
        assert "contract.json can't be read" in await refused(await starting(environ))
        contract.write_text(whole)
        for path in (gallery / "shard").rglob("*.json"):
            path.write_bytes(b"\x00")
        assert "restore the folder from a backup" in await refused(await starting(environ))

        shutil.rmtree(gallery)
        backup.rename(gallery)
        async with device_of(await start(environ)) as device:
            assert await device.remarks() == ["test"]

    async def test_a_file_in_the_folders_place(self, starting: Launch, environ: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "data").write_text("not a folder")
        assert str(tmp_path / "data") in await refused(await starting(environ))

    async def test_a_read_only_folder(self, starting: Launch, environ: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "data").mkdir(mode=0o500)
        if os.access(tmp_path / "data", os.W_OK):
            pytest.skip("root can write to read-only folders")
        assert str(tmp_path / "data") in await refused(await starting(environ))


class TestLog:
    async def test_json_is_json_from_the_first_line_to_the_last(
        self, start: Launch, environ: dict[str, str], portraits: dict[str, bytes]
    ) -> None:
        """Start, requests, garbage, the gallery's death and the stop: each line is an object."""
        service = await start({**environ, "FACE_LOG_FORMAT": "json", "FACE_LOG_LEVEL": "DEBUG"})
        async with device_of(service) as device:
            await device.register(portraits["obama"], "nobody's business")
            kill_gallery_process(service.data)
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(b"GET /?remark=nobody's business\r\n\r\n")
            assert b" 200 " in await reader.readline()
            writer.close()
            await device.fails(1001, "POST", "/recognition_face")
        service.signal(signal.SIGTERM)
        assert await service.ended() == 0
        lines = [json.loads(line) for line in service.log.splitlines()]
        assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
        requests = [line for line in lines if line["message"] == "request"]
        assert [(line["route"], line["code"], line["reason"]) for line in requests] == [
            ("/registration_face", "0", "ok"),
            ("unknown", "1001", "malformed_request"),
            ("/recognition_face", "1001", "invalid_request"),
        ]
        assert "nobody's business" not in service.log


class TestReadme:
    @pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
    async def test_the_session_works_as_it_stands(
        self, start: Launch, environ: dict[str, str], photos: Path, tmp_path: Path
    ) -> None:
        """Registered, recognised, listed, deleted: only the address and the folder of the photo are the test's own."""
        service = await start(environ)
        block = (ROOT / "README.md").read_text("utf-8").partition("PHOTO=me.jpg")[2].partition("```")[0]
        session = "PHOTO=me.jpg" + block.replace("http://127.0.0.1:5055", service.url)
        shutil.copy(photos / "obama.jpg", tmp_path / "me.jpg")
        done = await asyncio.create_subprocess_exec("sh", "-c", session, cwd=tmp_path, stdout=PIPE, stderr=PIPE)
        out, err = await done.communicate()
        assert err == b""
        registered, recognised, listed, deleted = (json.loads(line) for line in out.splitlines() if line)
        assert registered == deleted == {"code": 0, "error": "", "detail": "", "data": {}}
        (found,) = recognised["data"]["recognition_face"]
        (face,) = listed["data"]["all_face"]
        assert found["remark"] == face["remark"] == "My name, 我的名字"
        async with device_of(service) as device:
            assert await device.faces() == []


async def test_help(environ: dict[str, str], tmp_path: Path) -> None:
    """It needs no models, no gallery and no good settings."""
    helped = await launch({**environ, "FACE_NONSENSE": "1"}, "--help")
    assert await helped.ended() == 0
    assert not (tmp_path / "data").exists()
