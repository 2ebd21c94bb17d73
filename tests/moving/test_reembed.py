"""A gallery with another model: every face computed again, none lost, and recognition never stops."""

from __future__ import annotations

import asyncio
import signal
from argparse import Namespace
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from qdrant_client import models

from indexer.commands import reembed
from indexer.moving.replica import pairs
from service.errors import ContractMismatch, GalleryInUse, StoreUnavailable
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.edge.folder import read_contract
from service.stores.edge.store import EdgeStore
from service.stores.opening import open_store
from service.stores.qdrant.collection import CollectionSettings, real_name
from service.stores.qdrant.migration import QdrantMigration
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Store
from service.values import DEFAULT_GALLERY, Embedding, FaceChanges, ModelContract, StoredFace
from tests.conftest import MODELS, Start
from tests.moving.conftest import LEAST, kept_picture
from tests.support.device import Device
from tests.support.processes import launch
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import embedding, face

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

PLAIN = Namespace(drop_old=False, leave_out=False)

FORMER = ModelContract(model="former", digest="0" * 64, preprocessing=1, dimension=512)
"""The model that the galleries of these tests are made with; what it computed is noise to any other."""


async def make(store: Store, faces: list[StoredFace], contract: ModelContract = FORMER) -> Store:
    """Open a gallery and put faces into it, with the former model's vectors."""
    await store.open()
    await store.bind(contract)
    if faces:
        await store.add_many([(each, embedding(each.face_id)) for each in faces])
    return store


async def contents(store: Store) -> dict[int, tuple[StoredFace, Embedding]]:
    return {each.face_id: (each, vector) async for each, vector in store.scan_embedded()}


def copies(photo: StoredFace, numbers: Iterable[int]) -> Iterator[StoredFace]:
    """The same picture under other numbers and remarks."""
    return (replace(photo, face_id=n, remark=f"copy {n}", sha256=f"{n:064x}") for n in numbers)


def alike(
    found: dict[int, tuple[StoredFace, Embedding]], known: dict[int, tuple[StoredFace, Embedding]], least: float
) -> bool:
    """The same faces, with vectors of the same model."""
    assert {number: each for number, (each, _) in found.items()} == {
        number: each for number, (each, _) in known.items()
    }
    return min(float(known[number][1] @ vector) for number, (_, vector) in found.items()) >= least


class TestEdge:
    """The embedded gallery: the service stands still, and another folder takes its place."""

    @pytest.mark.slow
    async def test_every_face_gets_the_new_model(
        self,
        settings: Settings,
        files: ModelFiles,
        known: dict[int, tuple[StoredFace, Embedding]],
        start: Start,
        portraits: dict[str, bytes],
    ) -> None:
        """Numbers and payloads stay, the old gallery is kept beside, and the service recognises with the new one."""
        old = await make(EdgeStore(settings.data / "gallery"), [each for each, _ in known.values()])
        before = await contents(old)
        await old.close()
        assert await reembed.run(settings, PLAIN) == 0
        new = await make(EdgeStore(settings.data / "gallery"), [], files.contract)
        assert alike(await contents(new), known, LEAST)
        await new.close()
        [kept] = (each for each in subfolders(settings.data) if each.name.startswith("gallery.old-"))
        old = await make(EdgeStore(kept), [])
        assert (await contents(old)).keys() == before.keys()
        await old.close()
        found = await Device(await start(settings)).recognise(portraits["biden"])
        assert found[0]["remark"] == "biden"

    @pytest.mark.slow
    async def test_the_old_one_goes_when_asked(
        self, settings: Settings, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """With --drop-old nothing is left of it; and there is nothing more to do then."""
        await (await make(EdgeStore(settings.data / "gallery"), [each for each, _ in known.values()])).close()
        for _ in range(2):
            assert await reembed.run(settings, Namespace(drop_old=True, leave_out=False)) == 0
            assert [each.name for each in subfolders(settings.data)] == ["gallery"]

    @pytest.mark.slow
    async def test_a_service_must_be_stopped(self, settings: Settings) -> None:
        """One sentence, and nothing is touched."""
        running = await make(EdgeStore(settings.data / "gallery"), [])
        with pytest.raises(GalleryInUse, match="stop that one"):
            await reembed.run(settings, PLAIN)
        await running.close()
        assert [each.name for each in subfolders(settings.data)] == ["gallery"]

    async def test_no_gallery(self, settings: Settings) -> None:
        with pytest.raises(StoreUnavailable, match="no gallery there"):
            await reembed.run(settings, PLAIN)

    @pytest.mark.slow
    async def test_a_face_that_cannot_be_computed(
        self, settings: Settings, known: dict[int, tuple[StoredFace, Embedding]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nobody is lost unasked: the gallery keeps its model, and says whose picture is the matter."""
        blank = kept_picture(Image.new("RGB", (480, 480), "grey"))
        lost = [face(11), face(12, picture=blank), face(13, picture="no base64")]
        await (await make(EdgeStore(settings.data / "gallery"), [*(each for each, _ in known.values()), *lost])).close()
        assert await reembed.run(settings, PLAIN) == 1
        said = capsys.readouterr().err
        assert all(f"face {number}:" in said for number in (11, 12, 13))
        assert "3 faces can't be computed again" in said
        kept = read_contract(settings.data / "gallery")
        assert kept is not None
        assert kept.model == FORMER
        assert await reembed.run(settings, Namespace(drop_old=False, leave_out=True)) == 0
        new = open_store(settings)
        assert (await new.open()) != FORMER
        await new.close()

    @pytest.mark.process
    @pytest.mark.slow
    async def test_killed_at_any_moment(
        self, settings: Settings, files: ModelFiles, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """Either gallery is in place and whole; run again, it goes on where it was, and ends well."""
        photo, vector = next(iter(known.values()))
        faces = list(copies(photo, range(1, 201)))
        await (await make(EdgeStore(settings.data / "gallery"), faces)).close()
        environ = {"FACE_DATA": str(settings.data), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": "casia-webface"}
        for delay_s in (0.5, 2, 3.5, 5):
            running = await launch(environ, "reembed", module="indexer")
            await asyncio.sleep(delay_s)
            running.signal(signal.SIGKILL)
            await running.ended()
            store = EdgeStore(settings.data / "gallery")
            assert await store.open() in (FORMER, files.contract)
            await store.close()
        assert await reembed.run(settings, PLAIN) == 0
        new = await make(EdgeStore(settings.data / "gallery"), [], files.contract)
        assert alike(await contents(new), {each.face_id: (each, vector) for each in faces}, LEAST)
        await new.close()


def subfolders(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@pytest.fixture
async def server() -> AsyncIterator[Qdrant]:
    """A running Qdrant, without a collection."""
    made = Qdrant()
    await made.start()
    yield made
    await made.stop()


REFUSED_ENOUGH = 10


class TestServer:
    """A gallery on a Qdrant server: the services go on meanwhile."""

    async def move(self, server: Qdrant, settings: Settings, drop_old: bool = False, quiet_s: float = 0.5) -> int:
        migration = QdrantMigration(server.connect, "faces", collection_settings=CollectionSettings())
        try:
            return await reembed.reembed(settings, migration, drop_old=drop_old, leave_out=False, quiet_s=quiet_s)
        finally:
            await migration.close()

    @pytest.mark.slow
    @pytest.mark.parametrize("woken", [False, True])
    async def test_faces_that_come_and_go_meanwhile(
        self,
        server: Qdrant,
        settings: Settings,
        files: ModelFiles,
        known: dict[int, tuple[StoredFace, Embedding]],
        woken: bool,
    ) -> None:
        """What a service with the old model was told to be done is done in the new gallery; the rest was refused.

        So it is too where its node has just woken, and knows nothing of aliases that were changed.
        """
        photo, vector = next(iter(known.values()))
        faces = list(copies(photo, range(1, 61)))
        node = Qdrant(host="127.0.0.2", peer=server)
        await node.start()
        replica = await make(QdrantStore(node.connect, "faces"), faces)
        node.aliases_of_before = await node.aliases() if woken else None
        expected, refused = {each.face_id: each for each in faces}, 0
        moving = asyncio.create_task(self.move(server, settings))
        scattered = (n * 7919 % 100_003 + 200 for n in range(1, 2000))  # as real numbers are: no order of time
        for gone, new in enumerate(copies(photo, scattered), 1):
            if moving.done() or refused > REFUSED_ENOUGH:  # it waits until nothing comes any more
                break
            assert (await replica.search(embedding(50), 1, gallery=DEFAULT_GALLERY)).neighbours
            try:
                if gone % 2:
                    await replica.add(new, embedding(new.face_id))
                else:
                    await replica.add_many([(new, embedding(new.face_id))])
                expected[new.face_id] = new
                if gone % 3 == 0 and gone <= 60 and await replica.remove(gone, gallery=DEFAULT_GALLERY):
                    del expected[gone]
            except StoreUnavailable:
                refused += 1
                expected.pop(gone, None)  # a removal that was refused may have been carried out
            await asyncio.sleep(0.1)
        assert await moving == 0
        assert refused
        after = await make(QdrantStore(server.connect, "faces"), [], files.contract)
        found = {number: each for number, (each, _) in (await contents(after)).items()}
        assert {n: each for n, each in found.items() if n in expected} == expected
        assert len(expected) > 60
        assert min(float(vector @ other) for _, other in (await contents(after)).values()) > LEAST
        with pytest.raises(StoreUnavailable, match="just moving" if woken else "has moved"):
            await replica.add(photo, embedding(1))
        await replica.close()
        await after.close()
        await node.stop()

    @pytest.mark.slow
    async def test_what_was_refused_and_carried_out_comes_along(
        self,
        server: Qdrant,
        settings: Settings,
        files: ModelFiles,
        known: dict[int, tuple[StoredFace, Embedding]],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Faces that come to the old collection after the change, and go from it, until nothing has for a while.

        What is done in the new one meanwhile stays as it is, and the old one is kept until then.
        """
        photo, vector = next(iter(known.values()))
        replica = await make(QdrantStore(server.connect, "faces"), list(copies(photo, range(1, 6))))
        moving = asyncio.create_task(self.move(server, settings, drop_old=True, quiet_s=3))
        after = QdrantStore(server.connect, "faces")
        async with asyncio.timeout(60):
            while await after.open() != files.contract:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.05)
        await after.bind(files.contract)
        await after.remove(1, gallery=DEFAULT_GALLERY)
        again = replace(photo, face_id=2, remark="copy 2", registered_at=photo.registered_at.replace(year=2027))
        await after.remove(2, gallery=DEFAULT_GALLERY)
        await after.add(again, vector)
        for late in (
            *(replica.add(each, embedding(1)) for each in copies(photo, (6, 7))),
            *(replica.remove(number, gallery=DEFAULT_GALLERY) for number in (2, 3)),
        ):
            with pytest.raises(StoreUnavailable, match="has moved"):
                await late
        assert await moving == 0
        assert (await contents(after)).keys() == {2, 4, 5, 6, 7}
        assert (await contents(after))[2][0] == again
        assert min(float(vector @ other) for _, other in (await contents(after)).values()) > LEAST
        assert "3 late changes were brought along" in capsys.readouterr().err
        assert {each.name for each in (await server.client().get_collections()).collections} == {
            real_name("faces", files.contract)
        }
        await replica.close()
        await after.close()

    @pytest.mark.slow
    async def test_a_copy_that_is_away_puts_it_off(
        self, server: Qdrant, settings: Settings, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """A face could be on that copy only; the services go on, and later it is done."""
        replica = await make(QdrantStore(server.connect, "faces"), [each for each, _ in known.values()])
        for away in (models.ReplicaState.DEAD, models.ReplicaState.PARTIAL):
            server.copies = [models.ReplicaState.ACTIVE, away]
            with pytest.raises(StoreUnavailable, match="away or incomplete, so the gallery keeps its model"):
                await self.move(server, settings)
            await replica.add(face(1), embedding(1))
            await replica.remove(1, gallery=DEFAULT_GALLERY)
        server.copies = [models.ReplicaState.ACTIVE] * 2
        assert await self.move(server, settings) == 0
        await replica.close()

    @pytest.mark.slow
    async def test_a_copy_that_lags_behind_misses_no_face(
        self, server: Qdrant, settings: Settings, files: ModelFiles, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """What two of three copies have comes along."""
        await (await make(QdrantStore(server.connect, "faces"), [each for each, _ in known.values()])).close()
        server.behind = {next(iter(known))}
        assert await self.move(server, settings) == 0
        server.behind = set()
        after = await make(QdrantStore(server.connect, "faces"), [], files.contract)
        assert alike(await contents(after), known, LEAST)
        await after.close()

    @pytest.mark.slow
    async def test_services_with_the_old_model_go_on_recognising(
        self, server: Qdrant, settings: Settings, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """They keep the old collection, write nothing into it that would be lost, and say so."""
        replica = await make(QdrantStore(server.connect, "faces"), [each for each, _ in known.values()])
        assert await self.move(server, settings) == 0
        number = next(iter(known))
        assert (await replica.search(embedding(number), 1, gallery=DEFAULT_GALLERY)).neighbours[0].face_id == number
        for attempt in (replica.add(face(1), embedding(1)), replica.add_many([(face(2), embedding(2))])):
            with pytest.raises(StoreUnavailable, match="moved to another model, which the service is taking up"):
                await attempt
        with pytest.raises(StoreUnavailable, match="repeat the request"):
            await replica.remove(number, gallery=DEFAULT_GALLERY)
        await replica.close()
        with pytest.raises(ContractMismatch, match="reembed"):
            await make(QdrantStore(server.connect, "faces"), [])

    @pytest.mark.slow
    async def test_the_old_collection_goes_when_asked(
        self, server: Qdrant, settings: Settings, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        await (await make(QdrantStore(server.connect, "faces"), [each for each, _ in known.values()])).close()
        assert await self.move(server, settings, drop_old=True) == 0
        names = [each.name for each in (await server.client().get_collections()).collections]
        assert len(names) == 1
        assert real_name("faces", FORMER) not in names

    @pytest.mark.slow
    async def test_cut_off_while_it_holds_the_old_one(
        self, server: Qdrant, settings: Settings, files: ModelFiles, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """A stop lets registrations go on; after a kill they are refused, with what to do, until it is run again."""
        faces = [each for each, _ in known.values()]
        replica = await make(QdrantStore(server.connect, "faces"), faces)
        for killed in (False, True):
            migration = QdrantMigration(server.connect, "faces", collection_settings=CollectionSettings())
            await migration.open()
            await migration.begin(files.contract)
            holding = migration.block_writes()
            await holding.__aenter__()
            with pytest.raises(StoreUnavailable, match="just moving to another model"):
                await replica.add(face(1), embedding(1))
            if not killed:
                await holding.__aexit__(None, None, None)
                await replica.remove(1, gallery=DEFAULT_GALLERY)
            await migration.close()
        assert await self.move(server, settings) == 1  # face(1) has no real picture
        await replica.remove(1, gallery=DEFAULT_GALLERY)
        assert await self.move(server, settings) == 0
        after = await make(QdrantStore(server.connect, "faces"), [], files.contract)
        assert alike(await contents(after), known, LEAST)
        await replica.close()
        await after.close()

    @pytest.mark.slow
    async def test_what_is_changed_meanwhile_comes_along(
        self, server: Qdrant, settings: Settings, files: ModelFiles, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """A remark, metadata and the end of a time, of faces that were brought along already; and again at the end.

        What is changed in the new gallery isn't undone by what comes late in the old one.
        """
        photo, vector = next(iter(known.values()))
        first, second, third, fourth = copies(photo, (1, 2, 3, 4))
        replica = await make(QdrantStore(server.connect, "faces"), [first, second, third, fourth])
        migration = QdrantMigration(server.connect, "faces", collection_settings=CollectionSettings())
        await migration.open()
        new = await migration.begin(files.contract)
        await new.add_many([(each, vector) for each in (first, second, third, fourth)])
        badge = FaceChanges(remark=first.remark, metadata={"badge": 1}, expires_at=first.registered_at)
        assert await replica.change(1, badge, gallery=DEFAULT_GALLERY)
        assert await replica.rename_person("copy 2", "Zoë", gallery=DEFAULT_GALLERY) == 1
        await migration.close()
        moving = asyncio.create_task(self.move(server, settings, quiet_s=3))
        after = QdrantStore(server.connect, "faces")
        async with asyncio.timeout(60):
            while await after.open() != files.contract:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.05)
        await after.bind(files.contract)
        changed = {1: replace(first, metadata={"badge": 1}, expires_at=first.registered_at)}
        changed[2] = replace(second, remark="Zoë")
        found = await after.fetch([1, 2, 3, 4], gallery=DEFAULT_GALLERY)
        assert found == {**changed, 3: third, 4: fourth}
        assert await after.rename_person("copy 3", "here", gallery=DEFAULT_GALLERY) == 1
        for remark in ("copy 3", "copy 4"):  # refused, and carried out
            with pytest.raises(StoreUnavailable, match="has moved"):
                await replica.rename_person(remark, "late", gallery=DEFAULT_GALLERY)
        assert await moving == 0
        found = await after.fetch([1, 2, 3, 4], gallery=DEFAULT_GALLERY)
        assert found == {**changed, 3: replace(third, remark="here"), 4: replace(fourth, remark="late")}
        assert [each.face_id async for each in after.scan(gallery=DEFAULT_GALLERY, remark="late")] == [4]
        assert min(float(vector @ other) for _, other in (await contents(after)).values()) > LEAST
        await replica.close()
        await after.close()

    @pytest.mark.slow
    async def test_a_face_registered_anew_meanwhile(
        self, server: Qdrant, settings: Settings, files: ModelFiles, known: dict[int, tuple[StoredFace, Embedding]]
    ) -> None:
        """Removed and registered again it has the same number, and its new payload comes along."""
        first, *others = (each for each, _ in known.values())
        replica = await make(QdrantStore(server.connect, "faces"), [first, *others])
        migration = QdrantMigration(server.connect, "faces", collection_settings=CollectionSettings())
        await migration.open()
        new = await migration.begin(files.contract)
        await new.add_many([(each, embedding(1)) for each in (first, face(77))])
        await replica.remove(first.face_id, gallery=DEFAULT_GALLERY)
        again = replace(first, registered_at=first.registered_at.replace(year=2027), device_id="gate-9")
        await replica.add(again, embedding(1))
        await migration.close()
        assert await self.move(server, settings) == 0
        after = await make(QdrantStore(server.connect, "faces"), [], files.contract)
        expected = {**known, first.face_id: (again, known[first.face_id][1])}
        assert alike(await contents(after), expected, LEAST)
        await replica.close()
        await after.close()

    async def test_a_collection_without_an_alias(self, server: Qdrant, settings: Settings) -> None:
        """No other can take its place; the sentence says what can be done."""
        await server.client().create_collection(
            "faces", models.VectorParams(size=512, distance=models.Distance.COSINE), metadata={}
        )
        await (await make(QdrantStore(server.connect, "faces"), [])).close()
        with pytest.raises(StoreUnavailable, match="export it"):
            await self.move(server, settings)


def test_pairs_are_by_number() -> None:
    """Each face of either side once, beside its own."""

    async def listed(*numbers: int) -> AsyncIterator[tuple[int, int, int]]:
        for number in numbers:
            yield (number * 10, number, 0)

    async def paired() -> list[tuple[int, int]]:
        both = pairs(listed(1, 3, 4, 9), listed(2, 3, 9, 10, 11))
        return [((ours or (0, 0, 0))[1], (theirs or (0, 0, 0))[1]) async for ours, theirs in both]

    assert asyncio.run(paired()) == [(1, 0), (0, 2), (3, 3), (4, 0), (9, 9), (0, 10), (0, 11)]
