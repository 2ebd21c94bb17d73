"""A service whose gallery moves to another model takes that up by itself, and recognises all the while."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from service.http import move_following, move_watch
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.migration import QdrantMigration
from service.values import ModelContract
from tests.conftest import MODELS, running
from tests.support.device import Client, Device, form, register_path
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant

pytestmark = [pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS), pytest.mark.slow]

ModelSetting = Literal["auto", "casia-webface"]


@dataclass(frozen=True)
class Moving:
    """A service, its server, and the contract that its gallery is moved to."""

    client: Client
    server: Qdrant
    contract: ModelContract
    models: Path

    @property
    def device(self) -> Device:
        return Device(self.client)

    async def move(self) -> None:
        """As `reembed` does, with the embeddings as they are: the other model has the same weights by another name."""
        migration = QdrantMigration(self.server.connect, "faces", collection_settings=CollectionSettings())
        await migration.open()
        new = await migration.begin(self.contract)
        async with migration.block_writes():
            await new.add_many([each async for each in migration.old.scan_embedded()])
            await migration.switch()
        await migration.close()

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        async with self.client.get("/readyz") as response:
            return response.status, await response.json()

    async def model(self) -> str:
        async with self.client.get("/v1/model") as response:
            name: str = (await response.json())["model"]
            return name

    async def samples(self) -> str:
        async with self.client.get("/metrics") as response:
            return await response.text()


def bring_model(folder: Path, contract: ModelContract) -> None:
    """Put casia-webface's files there as those of another model."""
    source = next(MODELS.glob("casia-webface-*"))
    place = folder / f"{contract.model}-{contract.digest[:16]}"
    place.mkdir(parents=True)
    manifest = json.loads((source / "manifest.json").read_text())
    for name in manifest["files"]:
        (place / name).symlink_to(source / name)
    (place / "manifest.json").write_text(json.dumps({**manifest, "model": contract.model, "digest": contract.digest}))


@pytest.fixture
def contract(files: ModelFiles) -> ModelContract:
    """Of the model that the gallery is moved to."""
    return replace(files.contract, model="ours", digest="0123456789abcdef" * 4)


@asynccontextmanager
async def moving(tmp_path: Path, contract: ModelContract, model: ModelSetting) -> AsyncIterator[Moving]:
    """A service of a gallery on a server, whose models folder has one model."""
    models = tmp_path / "models"
    models.mkdir()
    for each in ("casia-webface-*", "mtcnn-*"):
        (models / next(MODELS.glob(each)).name).symlink_to(next(MODELS.glob(each)))
    server = Qdrant()
    await server.start()
    settings = Settings(
        data=tmp_path / "data", model_dir=models, model=model, qdrant_url=server.url, qdrant_grpc_port=server.port
    )
    async with running(settings) as client:
        yield Moving(client, server, contract, models)
    await server.stop()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done now and then is done at once."""
    monkeypatch.setattr(move_watch, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(move_following, "RETRY_S", 0.05)


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await is_so():  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0.05)


async def test_the_new_model_is_taken_up_without_a_gap(
    tmp_path: Path, contract: ModelContract, portraits: dict[str, bytes]
) -> None:
    """Every recognition is answered, the service stays ready, and what is answered as registered is there."""
    async with moving(tmp_path, contract, "auto") as moved:
        bring_model(moved.models, contract)
        device = moved.device
        await device.register(portraits["obama"], "before")
        assert await moved.model() == "casia-webface"
        assert (await moved.readiness())[1]["qdrant"] == moved.server.url
        answers: list[dict[str, Any]] = []
        registered: list[str] = []
        done = asyncio.Event()

        async def recognise() -> None:
            while not done.is_set():
                answers.append(await device.ask("POST", "/recognition_face", data=form(portraits["obama2"])))

        async def register() -> None:
            while not done.is_set():
                remark = f"number {len(registered)}"
                answer = await device.ask("POST", register_path(remark), data=form(portraits["biden"]))
                if answer["code"] == 0:
                    registered.append(remark)
                else:
                    assert "moved to another model" in answer["detail"] or "moving to another" in answer["detail"]

        async def is_taken_up() -> bool:
            assert (await moved.readiness())[0] == 200
            return await moved.model() == "ours"

        others = [asyncio.create_task(recognise())]
        await moved.move()
        others.append(asyncio.create_task(register()))
        await until(is_taken_up)
        taken_up = len(registered)
        await until(lambda: asyncio.sleep(0, len(registered) > taken_up))
        done.set()
        await asyncio.gather(*others)
        assert len(answers) > 1
        assert {each["code"] for each in answers} == {0}
        assert all(each["data"]["recognition_face"][0]["remark"] == "before" for each in answers)
        assert set(await device.remarks()) == {"before", *registered}
        samples = await moved.samples()
        assert "face_gallery_moved 0.0" in samples
        assert 'model="ours"' in samples
        assert 'model="casia-webface"' not in samples


async def test_a_model_that_is_not_there_keeps_the_old_one_until_it_is_brought(
    tmp_path: Path, contract: ModelContract, portraits: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """The service is not ready and says why, once; it goes on recognising, and takes the model up when it comes."""
    async with moving(tmp_path, contract, "auto") as moved:
        await moved.device.register(portraits["obama"], "before")
        await moved.move()

        async def is_refused() -> bool:
            return (await moved.readiness())[0] == 503

        await until(is_refused)
        await asyncio.sleep(0.3)  # it is tried again meanwhile
        _, told = await moved.readiness()
        assert "ours (weights 0123456789ab, preprocessing 1) is not in the models folder" in told["detail"]
        told_of = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert [each.getMessage() for each in told_of] == [told["detail"]]
        assert (await moved.device.recognise(portraits["obama2"]))[0]["remark"] == "before"
        assert "face_gallery_moved 1.0" in await moved.samples()
        bring_model(moved.models, contract)

        async def is_ready() -> bool:
            return (await moved.readiness())[0] == 200

        await until(is_ready)
        assert await moved.model() == "ours"
        assert (await moved.device.recognise(portraits["obama2"]))[0]["remark"] == "before"


async def test_a_model_that_the_settings_exclude_is_not_taken_up(tmp_path: Path, contract: ModelContract) -> None:
    """FACE_MODEL says casia-webface, and so it stays, as at a start."""
    async with moving(tmp_path, contract, "casia-webface") as moved:
        bring_model(moved.models, contract)
        await moved.move()

        async def is_refused() -> bool:
            return (await moved.readiness())[0] == 503

        await until(is_refused)
        _, told = await moved.readiness()
        assert "The gallery was made with ours" in told["detail"]
        assert await moved.model() == "casia-webface"
