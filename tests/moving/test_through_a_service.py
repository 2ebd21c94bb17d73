"""Moving a gallery through a service that runs as a process of its own, by the indexer and by whoever kills it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientPayloadError, ClientResponse, ClientSession

from scripts.bench.moving import measure
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.values import Embedding, StoredFace
from tests.conftest import MODELS
from tests.support.keys import CONSOLE, VISITORS, bearing, keys_file
from tests.support.processes import Running, launch, listening, until
from tests.support.stored_faces import embedding, face

pytestmark = [pytest.mark.slow, pytest.mark.process]

FACES = 2000
GROWTH_BYTES = 30 * 2**20

Start = Callable[[Path], Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path, files: ModelFiles) -> AsyncIterator[Start]:
    """Starts services with keys on a folder, and waits until they listen; none is left at the end."""
    begun: list[Running] = []

    async def start(data: Path) -> Running:
        keys = keys_file(tmp_path / "keys.toml")
        environ = {"FACE_DATA": str(data), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": files.contract.model}
        begun.append(await launch({**environ, "FACE_THREADS": "1", "FACE_KEYS": str(keys)}))
        return await listening(begun[-1])

    yield start
    for running in begun:
        await running.kill()


@pytest.fixture
async def full(tmp_path: Path, files: ModelFiles) -> Path:
    """A folder with more faces than fit into the buffers of a connection, some of them `visitors`."""
    store = await opened(tmp_path / "full", files)
    await store.create_gallery("visitors", datetime(2026, 1, 1, tzinfo=UTC))
    picture = "cGlj" * 2000
    for start in range(1, FACES + 1, 250):
        faces = [face(n, picture=picture, metadata={"badge": n}) for n in range(start, start + 250)]
        faces = [replace(each, gallery="default" if each.face_id % 4 else "visitors") for each in faces]
        await store.add_many([(each, embedding(each.face_id)) for each in faces])
    await store.close()
    return tmp_path / "full"


async def opened(data: Path, files: ModelFiles) -> EdgeStore:
    store = EdgeStore(data / "gallery")
    await store.open()
    await store.bind(files.contract)
    return store


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def contents(data: Path, files: ModelFiles) -> list[tuple[StoredFace, Embedding]]:
    store = await opened(data, files)
    found = [each async for each in store.scan_embedded()]
    await store.close()
    return found


def same(one: list[tuple[StoredFace, Embedding]], other: list[tuple[StoredFace, Embedding]]) -> bool:
    """Equal numbers and payloads, and vectors to 1e-6."""
    assert [each for each, _ in one] == [each for each, _ in other]
    return bool(np.allclose([each for _, each in one], [each for _, each in other], rtol=0, atol=1e-6))


async def what_came(answer: ClientResponse) -> bytes:
    """The body of an answer that breaks off."""
    taken = b""
    try:
        async for chunk in answer.content.iter_any():
            taken += chunk
    except ClientPayloadError:
        return taken
    raise AssertionError("The answer looks whole.")


async def stop(service: Running) -> None:
    service.signal(signal.SIGTERM)
    assert await service.ended() == 0


async def index(service: Running, folder: Path, *words: str, key: str = CONSOLE) -> tuple[int, str]:
    """The status of `face-indexer …` through a service with a key, and what it said."""
    (folder / "key").write_text(f"{key}\n")
    line = [*words, "--service", service.url, "--key-file", str(folder / "key")]
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "indexer", *line), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await command.communicate()
    return command.returncode or 0, said.decode()


class TestKilled:
    async def test_the_service_stops_during_an_export(self, start: Start, full: Path) -> None:
        """SIGTERM twice: the connection breaks off, and what came has no end."""
        service = await start(full)
        async with ClientSession(service.url, headers=bearing(CONSOLE)) as session, session.get("/v1/export") as answer:
            service.signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            service.signal(signal.SIGTERM)
            assert await service.ended() == 0
            taken = await what_came(answer)
        assert taken
        assert b'{"end"' not in taken
        assert "Traceback" not in service.log

    async def test_the_service_is_killed_during_an_import(
        self, start: Start, full: Path, tmp_path: Path, files: ModelFiles
    ) -> None:
        """The import, repeated, makes both galleries equal."""
        service = await start(full)
        assert (await index(service, tmp_path, "export", str(tmp_path / "all.jsonl.zst")))[0] == 0
        await stop(service)
        new = await start(tmp_path / "new")
        importing = asyncio.create_task(index(new, tmp_path, "import", str(tmp_path / "all.jsonl.zst")))
        async with ClientSession(new.url, headers=bearing(CONSOLE)) as session:
            for _ in range(3000):
                async with session.get("/v1/stats") as answer:
                    if (await answer.json())["faces"]:
                        break
                await asyncio.sleep(0.01)
        await new.kill()
        status, said = await importing
        assert status == 2
        assert "run the command again" in said
        new = await start(tmp_path / "new")
        status, said = await index(new, tmp_path, "import", str(tmp_path / "all.jsonl.zst"))
        assert (status, "Traceback" in said) == (0, False)
        await stop(new)
        assert same(await contents(tmp_path / "new", files), await contents(full, files))


class TestIndexer:
    async def test_out_of_one_service_and_into_another(
        self, start: Start, full: Path, tmp_path: Path, files: ModelFiles
    ) -> None:
        """Everything through compressed files, one gallery alone, and again adds nothing."""
        here, there = await start(full), await start(tmp_path / "there")
        status, said = await index(here, tmp_path, "stats")
        assert (status, "faces    2,000\n" in said, "visitors: 500 faces" in said) == (0, True, True)
        for name, words in (("all.jsonl.gz", ()), ("some.jsonl", ("--gallery", "visitors"))):
            status, said = await index(here, tmp_path, "export", str(tmp_path / name), *words)
            assert (status, "(100 %)" in said) == (0, True)
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert len((tmp_path / "some.jsonl").read_bytes().splitlines()) == 502
        for file, told in (("some.jsonl", "500 faces imported, 0 "), ("all.jsonl.gz", "1,500 faces imported, 500 ")):
            status, said = await index(there, tmp_path, "import", str(tmp_path / file))
            assert (status, told in said) == (0, True)
        await stop(here)
        await stop(there)
        assert same(await contents(tmp_path / "there", files), await contents(full, files))

    async def test_what_goes_wrong(self, start: Start, full: Path, tmp_path: Path) -> None:
        """One sentence, which is the service's own where it refuses, and never a file that looks whole."""
        service = await start(full)
        file = tmp_path / "faces.jsonl"
        status, said = await index(service, tmp_path, "export", str(file), key=VISITORS)
        assert (status, "may not use this gallery" in said or "may not use all" in said) == (2, True)
        status, said = await index(service, tmp_path, "export", str(file), "--gallery", "nobodys")
        assert (status, "There is no gallery of this name" in said) == (2, True)
        assert not size(file)
        assert not size(tmp_path / "faces.jsonl.part")
        status, said = await index(service, tmp_path, "export", str(file), "--gallery", "visitors")
        assert status == 0
        status, said = await index(service, tmp_path, "export", str(file))
        assert (status, "is there already" in said) == (2, True)
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:3]) + lines[3][:50])
        status, said = await index(service, tmp_path, "import", str(file))
        assert (status, f"{file} is damaged at line 4" in said, "says: The archive" in said) == (1, True, True)
        file.write_bytes(b"".join([lines[0].replace(files_model(lines[0]), b"other"), *lines[1:]]))
        status, said = await index(service, tmp_path, "import", str(file))
        assert (status, "were made with other" in said) == (2, True)
        await service.kill()
        status, said = await index(service, tmp_path, "stats")
        assert (status, "can't be reached" in said, "Traceback" in said) == (2, True, False)

    async def test_a_service_that_dies_during_an_export(self, start: Start, full: Path, tmp_path: Path) -> None:
        """There is no file, and the command begins anew: lines of two moments never mix."""
        service = await start(full)
        file = tmp_path / "faces.jsonl"
        part = file.with_name("faces.jsonl.part")
        exporting = asyncio.create_task(index(service, tmp_path, "export", str(file)))
        await until(lambda: size(part) > 0)
        await service.kill()
        status, said = await exporting
        assert (status, "run the command again" in said, "Traceback" in said) == (2, True, False)
        assert not file.exists()
        service = await start(full)
        assert (await index(service, tmp_path, "export", str(file)))[0] == 0
        lines = file.read_bytes().splitlines()
        assert json.loads(lines[-1])["end"]["count"] == len(lines) - 2 == FACES
        assert not part.exists()


def files_model(header: bytes) -> bytes:
    model: str = json.loads(header)["contract"]["model"]
    return model.encode()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_memory_stays_flat(tmp_path: Path) -> None:
    """Exporting or listing 20,000 faces, the service's processes grow by no more than 30 MB."""
    settings = Settings(data=tmp_path, model_dir=MODELS, model="casia-webface")
    for run in await measure(settings, 20_000):
        assert run.size > 20_000 * 6_000
        assert run.own < GROWTH_BYTES, run
