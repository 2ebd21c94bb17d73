"""What every store must hold to, and what the embedded one does when its processes die.

The shared store is tested three times: in Qdrant's local mode, over gRPC, and on the server at QDRANT_TEST_URL, if any.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from qdrant_edge import EdgeShard

from service.errors import ContractMismatch, GalleryInUse, StoreUnavailable
from service.settings import Settings
from service.stores.edge.shard import Shard
from service.stores.edge.store import EdgeStore
from service.stores.opening import open_store
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added, Store
from service.values import Box, Embedding, ModelContract, StoredFace
from tests.support import qdrant

CONTRACT = ModelContract(model="vggface2", digest="0123456789abcdef" * 4, preprocessing=1, dimension=512)
ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 1, tzinfo=UTC)

MakeStore = Callable[[], Store]


def face(number: int, **changes: object) -> StoredFace:
    """A face whose every field tells its number; one is registered each microsecond."""
    made = StoredFace(
        face_id=number,
        remark=f"person {number}",
        picture=f"picture{number}",
        box=Box(-1.5, 2.25, 100.1, 200.7),
        landmarks=((1.5, 2.0), (3.0, 4.0), (5.25, 6.0), (7.0, 8.0), (9.0, 10.125)),
        detection_score=0.9987654321,
        sha256=f"{number:064x}",
        registered_at=START + timedelta(microseconds=number),
        device_id=f"gate-{number % 3}" if number % 2 else None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def embedding(number: int) -> Embedding:
    """A unit vector, shape (512,), the same for the same number."""
    vector = np.random.default_rng(number).normal(size=512)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


async def fill(store: Store, faces: list[StoredFace]) -> None:
    assert await asyncio.gather(*(store.add(each, embedding(each.face_id)) for each in faces)) == [Added.NEW] * len(
        faces
    )


async def numbers(faces: AsyncIterator[StoredFace]) -> list[int]:
    return [each.face_id async for each in faces]


@pytest.fixture(params=["edge", "local", "grpc", "server"])
async def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeStore]:
    """Makes stores that all reach the same gallery; another kind of store is another parameter."""
    if request.param == "edge":
        yield lambda: EdgeStore(tmp_path / "gallery")
    elif request.param == "local":
        async with qdrant.local_mode() as (connect, name):
            yield lambda: QdrantStore(connect, name)
    elif request.param == "grpc":
        server = qdrant.Qdrant(api_key="secret")
        await server.start()
        yield lambda: QdrantStore(server.connect, "faces")
        await server.stop()
    elif qdrant.URL:
        async with qdrant.real_server(qdrant.URL) as (connect, name):
            yield lambda: QdrantStore(connect, name)
    else:
        pytest.skip("needs QDRANT_TEST_URL")


@pytest.fixture
async def store(make_store: MakeStore) -> AsyncIterator[Store]:
    """A store, opened and bound."""
    made = make_store()
    assert await made.open() is None
    await made.bind(CONTRACT)
    yield made
    await made.close()


@pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)
class TestEveryStore:
    """The contract, without regard to what is behind it."""

    async def test_a_face_comes_back_as_it_was_added(self, store: Store) -> None:
        """Every field returns unchanged, from a search and from a scan."""
        for each in (face(1), face(2**53 - 1, registered_at=START + timedelta(microseconds=2))):
            assert await store.add(each, embedding(each.face_id)) is Added.NEW
            assert [match.face for match in await store.search(embedding(each.face_id), 1)] == [each]
        assert [each async for each in store.scan()] == [
            face(1),
            face(2**53 - 1, registered_at=START + timedelta(microseconds=2)),
        ]

    async def test_the_same_photo_and_remark_are_known(self, store: Store) -> None:
        """Adding a face again succeeds and changes nothing, not even its time."""
        await fill(store, [face(1)])
        assert await store.add(face(1, registered_at=START), embedding(9)) is Added.KNOWN
        assert [each async for each in store.scan()] == [face(1)]
        assert (await store.search(embedding(1), 1))[0].similarity == pytest.approx(1)

    async def test_a_number_in_use_is_taken(self, store: Store) -> None:
        """A face_id never changes hands."""
        await fill(store, [face(1)])
        assert await store.add(face(1, remark="somebody else"), embedding(2)) is Added.TAKEN
        assert await store.add(face(1, sha256="f" * 64), embedding(2)) is Added.TAKEN
        assert [each async for each in store.scan()] == [face(1)]

    async def test_many_are_added_in_one_go(self, store: Store) -> None:
        """Each gets the answer that it would have got alone, in the order given, also when a face comes twice."""
        await fill(store, [face(3), face(5)])
        batch = [face(n) for n in (9, 3, 1, 9, 5, 2**53 - 1, 1)]
        batch[4] = replace(batch[4], remark="somebody else")
        batch[6] = replace(batch[6], sha256="f" * 64)
        new, known, taken = Added.NEW, Added.KNOWN, Added.TAKEN
        assert await store.add_many([(each, embedding(each.face_id)) for each in batch]) == [
            *(new, known, new, known, taken, new, taken)
        ]
        assert await numbers(store.scan()) == [1, 3, 5, 9, 2**53 - 1]
        assert [match.face for match in await store.search(embedding(9), 1)] == [face(9)]
        assert await store.add_many([]) == []

    async def test_a_large_batch_is_added_whole(self, store: Store) -> None:
        """256 faces with pictures are one call, and concurrent batches of the same faces add each once."""
        batch = [(face(n, picture="p" * 8000), embedding(n)) for n in range(1, 257)]
        outcomes = await asyncio.gather(*(store.add_many(batch) for _ in range(4)))
        for each in zip(*outcomes, strict=True):
            assert sorted(each, key=lambda one: one.value) == [Added.KNOWN] * 3 + [Added.NEW]
        assert await store.count() == 256

    async def test_a_batch_with_half_a_surrogate_pair_adds_nothing(self, store: Store) -> None:
        """So the caller knows what became of the others."""
        with pytest.raises(ValueError, match="surrogate"):
            await store.add_many([(face(1), embedding(1)), (face(2, remark="\ud800"), embedding(2))])
        assert await store.count() == 0

    async def test_faces_come_with_their_embeddings(self, store: Store) -> None:
        """Every face by its number, whatever its time, complete, with the vector that was added; from anywhere on."""
        faces = [face(n, registered_at=START - timedelta(seconds=n * 7 % 41)) for n in range(2, 502, 2)]
        await store.add_many([(each, embedding(each.face_id)) for each in faces])
        pairs = [pair async for pair in store.scan_embedded()]
        assert [each for each, _ in pairs] == faces
        for each, vector in pairs:
            assert vector.dtype == np.float32
            assert np.abs(vector - embedding(each.face_id)).max() < 1e-6
        for after in (1, 2, 3, 200, 201, 499, 500, 2**53 - 1):
            assert [each.face_id async for each, _ in store.scan_embedded(after)] == [
                each.face_id for each in faces if each.face_id > after
            ]

    async def test_keys_and_faces_are_for_comparing(self, store: Store) -> None:
        """By rising face_id, each with its time in microseconds; of the faces asked for, those that are there."""
        faces = [face(n) for n in (2**53 - 1, 7, 5)]
        await fill(store, [replace(each, registered_at=START) for each in faces[:1]])
        await fill(store, faces[1:])
        begin = int(START.timestamp()) * 1_000_000
        assert [key async for key in store.scan_keys()] == [(begin + 5, 5), (begin + 7, 7), (begin, 2**53 - 1)]
        assert [key async for key in store.scan_keys(after=7)] == [(begin, 2**53 - 1)]
        assert await store.fetch([5, 6, 7]) == {5: face(5), 7: face(7)}
        assert await store.fetch([]) == {}

    async def test_figures_count_faces_and_different_remarks(self, store: Store) -> None:
        """Exactly, removed ones no more; no index is claimed over more faces than there are."""
        await fill(store, [face(number, remark="same" if number > 1 else "other") for number in range(1, 5)])
        await store.remove(4)
        figures = await store.figures()
        assert (figures.faces, figures.remarks) == (3, 2)
        assert figures.indexed <= 3

    async def test_optimizing_changes_no_answer(self, store: Store) -> None:
        """It may be asked for at any time, and the faces are the same afterwards."""
        await store.optimize()
        await store.add_many([(face(n), embedding(n)) for n in range(1, 201)])
        before = await store.search(embedding(7), 5)
        await store.optimize()
        assert [match.face for match in await store.search(embedding(7), 5)] == [match.face for match in before]
        assert await numbers(store.scan()) == list(range(1, 201))

    async def test_search_returns_cosines_best_first(self, store: Store) -> None:
        """The similarity is the dot product of the unit vectors, and the order and the cut follow it."""
        await fill(store, [face(number) for number in range(1, 51)])
        probe = embedding(7) + 0.2 * embedding(3)
        probe /= np.linalg.norm(probe)
        expected = sorted(((float(probe @ embedding(n)), n) for n in range(1, 51)), reverse=True)[:5]
        matches = await store.search(probe, 5)
        assert [match.face.face_id for match in matches] == [number for _, number in expected]
        assert [match.similarity for match in matches] == pytest.approx([cosine for cosine, _ in expected], abs=1e-5)

    async def test_search_ranges_from_minus_one_to_one(self, store: Store) -> None:
        """Opposite vectors are found too, and rounding never leaves the range."""
        for number in range(1, 21):
            await store.add(face(number), embedding(number))
            assert 1 - 1e-5 <= (await store.search(embedding(number), 1))[0].similarity <= 1
            assert -1 <= (await store.search(-embedding(number), number))[-1].similarity <= -1 + 1e-5

    async def test_search_leaves_out_what_is_below_the_threshold(self, store: Store) -> None:
        """A match is at least as similar as the threshold; -1 admits everything."""
        await fill(store, [face(number) for number in range(1, 21)])
        everything = await store.search(embedding(1), 20)
        assert len(everything) == 20
        for threshold in (-1.0, (everything[9].similarity + everything[10].similarity) / 2, 0.999):
            expected = [match.face for match in everything if match.similarity >= threshold]
            assert [match.face for match in await store.search(embedding(1), 20, threshold)] == expected

    async def test_search_returns_what_there_is(self, store: Store) -> None:
        """Fewer faces than asked for are fewer matches."""
        assert await store.search(embedding(1), 5) == []
        await fill(store, [face(1)])
        assert len(await store.search(embedding(1), 5)) == 1
        assert await store.search(embedding(1), 0) == []

    async def test_scan_is_oldest_first(self, store: Store) -> None:
        """The time of registration orders the list, not the number or the order of writing."""
        faces = [face(number, registered_at=START - timedelta(seconds=number * 7 % 41)) for number in range(1, 41)]
        await fill(store, faces)
        oldest_first = sorted(faces, key=lambda each: each.registered_at)
        assert await numbers(store.scan()) == [each.face_id for each in oldest_first]

    @pytest.mark.parametrize("tie", [1, 7, 251])
    async def test_scan_pages_lose_and_double_nothing(self, store: Store, tie: int) -> None:
        """Any offset and limit cut the same list, though many faces share one microsecond across pages."""
        await fill(store, [face(n, registered_at=START + timedelta(microseconds=n // tie)) for n in range(1, 251)])
        everything = await numbers(store.scan())
        assert everything == list(range(1, 251))
        for offset, limit in [
            (0, 0),
            (0, 1),
            (0, 100),
            (0, 101),
            (99, 2),
            (100, 100),
            (249, 5),
            (250, 5),
            (9999, None),
        ]:
            expected = everything[offset:] if limit is None else everything[offset : offset + limit]
            assert await numbers(store.scan(offset, limit)) == expected

    async def test_scan_while_faces_come_and_go(self, store: Store) -> None:
        """A list under way shows every face that stays, once, and none twice."""
        await fill(store, [face(number) for number in range(1, 251)])
        seen = []
        async for each in store.scan():
            seen.append(each.face_id)
            if each.face_id in (10, 90, 150):
                await store.add(face(1000 + each.face_id), embedding(1))
                await store.add(face(2000 + each.face_id, registered_at=START), embedding(1))
                await store.remove(each.face_id)
                await store.remove(each.face_id - 1)
        assert seen == [*range(1, 251), 1010, 1090, 1150]

    async def test_a_removed_face_is_gone(self, store: Store) -> None:
        """No search, list or count shows it again, and a second removal says so."""
        await fill(store, [face(1), face(2)])
        assert await store.remove(1) is True
        assert await store.remove(1) is False
        assert await store.remove(99) is False
        assert [match.face.face_id for match in await store.search(embedding(1), 5)] == [2]
        assert await numbers(store.scan()) == [2]
        assert await store.count() == 1
        assert await store.add(face(1), embedding(1)) is Added.NEW

    async def test_two_hundred_at_once(self, store: Store) -> None:
        """Concurrent registrations all land, and the same face in all of them lands once."""
        await fill(store, [face(number) for number in range(1, 201)])
        again = await asyncio.gather(*(store.add(face(500), embedding(500)) for _ in range(200)))
        assert again.count(Added.NEW) == 1
        assert again.count(Added.KNOWN) == 199
        assert await store.count() == 201

    async def test_remarks_are_kept_to_the_letter(self, store: Store) -> None:
        """Any Unicode text returns as it came, neither normalised nor cut, and is recognised as the same."""
        remarks = ["", " ", "\x00", "a\x00b", "张三", "e\u0301", "\ufffe\uffff", "👩🏽‍🚀", '"\\\n\r\t', "𝔵" * 1024]
        remarks += ["".join(map(chr, range(plane, plane + 64))) for plane in range(0, 0x110000, 0x10000)]
        faces = [face(number, remark=remark) for number, remark in enumerate(remarks, 1)]
        await fill(store, faces)
        assert [each.remark async for each in store.scan()] == remarks
        assert {await store.add(each, embedding(1)) for each in faces} == {Added.KNOWN}

    async def test_half_a_surrogate_pair_is_refused(self, store: Store) -> None:
        """What is not a character can't be stored, says so, and disturbs nothing."""
        with pytest.raises(ValueError, match="surrogate"):
            await store.add(face(1, remark="\ud800"), embedding(1))
        assert await store.count() == 0

    async def test_reopening_keeps_everything(self, store: Store, make_store: MakeStore) -> None:
        """A later service finds the faces and the contract."""
        await fill(store, [face(number) for number in range(1, 151)])
        await store.remove(1)
        await store.close()
        later = make_store()
        try:
            assert await later.open() == CONTRACT
            await later.bind(CONTRACT)
            assert await numbers(later.scan()) == list(range(2, 151))
            assert (await later.search(embedding(9), 1))[0].face == face(9)
        finally:
            await later.close()

    async def test_another_model_is_refused(self, store: Store) -> None:
        """Vectors of two models never mix, and the refusal names both and the ways out."""
        others: list[dict[str, object]] = [{"model": "casia-webface"}, {"digest": "f" * 64}, {"preprocessing": 2}]
        for changes in others:
            other = replace(CONTRACT, **changes)  # type: ignore[arg-type]
            with pytest.raises(ContractMismatch) as refusal:
                await store.bind(other)
            for word in (CONTRACT.model, other.model, other.digest[:12], "FACE_MODEL"):
                assert word in str(refusal.value)
            assert ("FACE_DATA" if isinstance(store, EdgeStore) else "FACE_QDRANT_COLLECTION") in str(refusal.value)
        await store.bind(CONTRACT)

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        """Closing twice is safe, and nothing hangs afterwards."""
        await store.close()
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.count()


# ---- The embedded store only: its processes, its lock, its folder.


def process_of(store: EdgeStore) -> int:
    """The number of the process that owns the gallery; nobody but these tests has a use for it."""
    process = store._link._process
    assert process is not None
    return process._process.pid


async def soon(attempt: Callable[[], Awaitable[object]], limit_s: float = 10) -> float:
    """Repeat while the store is not available; the seconds until it was."""
    begin = time.monotonic()
    while True:
        try:
            await attempt()
        except StoreUnavailable:
            assert time.monotonic() - begin < limit_s
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - begin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gallery"


@pytest.fixture
async def edge(folder: Path) -> AsyncIterator[EdgeStore]:
    """An embedded store, opened and bound."""
    made = EdgeStore(folder)
    await made.open()
    await made.bind(CONTRACT)
    yield made
    await made.close()


class TestKilledProcess:
    """What is left when the gallery's process, or the service, is killed."""

    async def test_answered_writes_survive(self, edge: EdgeStore) -> None:
        """SIGKILL right after the answers loses no registration and brings no removed face back."""
        await fill(edge, [face(number) for number in range(1, 21)])
        await edge.remove(3)
        os.kill(process_of(edge), signal.SIGKILL)
        await soon(edge.count)
        assert await numbers(edge.scan()) == [1, 2, *range(4, 21)]

    async def test_requests_in_flight_fail_at_once_and_the_store_recovers(self, edge: EdgeStore) -> None:
        """Nobody hangs: each request is answered or told that repeating is safe, and repeating is."""
        number = process_of(edge)
        os.kill(number, signal.SIGSTOP)
        adding = [asyncio.create_task(edge.add(face(n), embedding(n))) for n in range(1, 51)]
        await asyncio.sleep(0.1)
        begin = time.monotonic()
        os.kill(number, signal.SIGKILL)
        outcomes = await asyncio.gather(*adding, return_exceptions=True)
        assert time.monotonic() - begin < 2
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        assert "SIGKILL" in str(outcomes[0])
        assert "repeating the request is safe" in str(outcomes[0])
        await soon(edge.count)
        assert await edge.count() == 0
        await fill(edge, [face(n) for n in range(1, 51)])

    async def test_a_silent_process_is_not_waited_for_for_ever(self, folder: Path) -> None:
        """Each request has a time limit, the store works on once the process does, and late answers harm nobody."""
        store = EdgeStore(folder, request_limit_s=0.5)
        await store.open()
        await soon(lambda: store.bind(CONTRACT))
        number = process_of(store)
        os.kill(number, signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match=r"within 0\.5 s"):
            await store.add(face(1), embedding(1))
        waiting = asyncio.create_task(store.count())
        await asyncio.sleep(0.05)
        waiting.cancel()
        os.kill(number, signal.SIGCONT)
        await soon(store.count)
        assert process_of(store) == number
        assert await store.add(face(1), embedding(1)) in (Added.NEW, Added.KNOWN)
        assert await store.count() == 1
        await store.close()

    async def test_failing_starts_back_off_and_never_hang(
        self, edge: EdgeStore, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While the gallery can't be opened each request says why; when it can again, the next ones work."""
        contract = folder / "contract.json"
        text = contract.read_text()
        contract.write_text("{")
        os.kill(process_of(edge), signal.SIGKILL)
        begin = time.monotonic()
        while time.monotonic() - begin < 1.5:
            with pytest.raises(StoreUnavailable):
                await edge.count()
            await asyncio.sleep(0.01)
        with pytest.raises(StoreUnavailable, match=r"contract\.json"):
            await edge.count()
        assert 1 <= sum("can't be started" in each.message for each in caplog.records) <= 4
        contract.write_text(text)
        await soon(edge.count)

    async def test_another_gallery_in_the_same_folder_is_not_taken_for_the_old_one(
        self, edge: EdgeStore, folder: Path
    ) -> None:
        """A process that starts again and finds another model's contract answers nothing."""
        contract = folder / "contract.json"
        contract.write_text(json.dumps({**json.loads(contract.read_text()), "model": "casia-webface"}))
        os.kill(process_of(edge), signal.SIGKILL)
        await asyncio.sleep(0.1)
        with pytest.raises(StoreUnavailable, match="restart the service"):
            await edge.count()

    async def test_a_killed_service_leaves_no_orphan(self, folder: Path) -> None:
        """After SIGKILL of the whole service another one opens the gallery within seconds, with everything there."""
        script = """
import asyncio, os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from tests.stores.test_stores import CONTRACT, EdgeStore, embedding, face, fill
async def main():
    store = EdgeStore(Path(sys.argv[1]))
    await store.open()
    await store.bind(CONTRACT)
    await fill(store, [face(number) for number in range(1, 101)])
    await store.remove(1)
    pending = [asyncio.ensure_future(store.add(face(n), embedding(n))) for n in range(101, 151)]
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
        service = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(folder), str(ROOT))
        assert await service.wait() == -signal.SIGKILL
        begin = time.monotonic()
        store = EdgeStore(folder)
        assert await store.open() == CONTRACT
        assert time.monotonic() - begin < 8
        found = await numbers(store.scan())
        assert found[:99] == list(range(2, 101))
        await store.close()

    async def test_ctrl_c_is_for_the_service_to_handle(self, edge: EdgeStore) -> None:
        """SIGINT and SIGTERM reach the whole group, and the gallery must outlive the requests in hand."""
        number = process_of(edge)
        for each in (signal.SIGINT, signal.SIGTERM):
            os.kill(number, each)
        await fill(edge, [face(1)])
        assert process_of(edge) == number


def leave_half_made(folder: Path) -> None:
    """What a crash leaves of a new gallery: the contract, and a shard that isn't finished."""
    shard = Shard(folder)
    shard.bind(CONTRACT)
    shard.close()
    (folder / "contract.json.new").write_text('{"mod')
    (folder / "shard").rename(folder / "shard.new")
    (folder / "shard.new" / "edge_config.json").unlink()


def damage(folder: Path) -> None:
    """Spoil a file that the shard can't do without."""
    (config,) = folder.glob("shard/segments/*/segment.json")
    config.write_text("{")


class TestFolder:
    """Who may open the gallery's folder, and what may be wrong with it."""

    async def test_only_one_owner(self, edge: EdgeStore, folder: Path) -> None:
        """A second service on the same folder is told so, in a sentence with the folder's name."""
        second = EdgeStore(folder)
        with pytest.raises(GalleryInUse) as refusal:
            await second.open()
        assert str(folder) in str(refusal.value)
        await second.close()
        await fill(edge, [face(1)])

    async def test_two_at_once_on_a_new_folder_never_both_win(self, folder: Path) -> None:
        """The lock holds from the opening on, before there is anything to own."""
        stores = [EdgeStore(folder), EdgeStore(folder)]
        outcomes = await asyncio.gather(*(store.open() for store in stores), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["GalleryInUse", "NoneType"]
        for store in stores:
            await store.close()

    async def test_a_shard_that_another_program_reads_is_in_use(self, edge: EdgeStore, folder: Path) -> None:
        """Edge's own lock counts too, and is not mistaken for damage."""
        await edge.close()
        intruder = EdgeShard.load(str(folder / "shard"))
        with pytest.raises(GalleryInUse, match="another program"):
            await EdgeStore(folder).open()
        intruder.close()
        assert await edge.open() == CONTRACT

    async def test_a_crash_between_contract_and_shard_heals(self, folder: Path) -> None:
        """A service killed while it made the gallery leaves one that the next can open."""
        leave_half_made(folder)
        store = EdgeStore(folder)
        assert await store.open() == CONTRACT
        await store.bind(CONTRACT)
        await fill(store, [face(1)])
        await store.close()

    async def test_a_shard_without_its_contract_is_left_alone(self, edge: EdgeStore, folder: Path) -> None:
        """Faces of an unknown model are neither searched nor thrown away."""
        await edge.close()
        (folder / "contract.json").unlink()
        with pytest.raises(StoreUnavailable, match=r"contract\.json is missing"):
            await EdgeStore(folder).open()
        assert (folder / "shard").exists()

    async def test_a_damaged_shard_is_said_to_be(self, edge: EdgeStore, folder: Path) -> None:
        """The service doesn't start on half a gallery, and says where it is and what to do."""
        await fill(edge, [face(number) for number in range(1, 11)])
        await edge.close()
        damage(folder)
        with pytest.raises(StoreUnavailable, match=r"damaged.*backup"):
            await EdgeStore(folder).open()

    async def test_a_path_that_is_no_folder_is_said_to_be(self) -> None:
        """A mistyped FACE_DATA is a sentence, not a traceback."""
        with pytest.raises(StoreUnavailable, match="test_stores"):
            await EdgeStore(Path(__file__)).open()

    def test_a_full_disk_refuses_registrations_only(self, folder: Path) -> None:
        """With the reserve touched nothing is added, but faces can still be found and removed."""
        shard = Shard(folder)
        shard.bind(CONTRACT)
        shard.add_many([(face(1), embedding(1))])
        shard.close()
        full = Shard(folder, disk_reserve_bytes=2**62)
        with pytest.raises(StoreUnavailable, match="disk is full"):
            full.add_many([(face(2), embedding(2))])
        assert full.add_many([(face(1), embedding(1))]) == [Added.KNOWN]
        assert len(full.search(embedding(1), 5, -1.0)) == 1
        assert full.remove(1)
        full.sync()
        full.close()

    async def test_the_settings_name_the_folder(self, tmp_path: Path) -> None:
        """FACE_DATA is the folder in which the gallery lies."""
        store = open_store(Settings(data=tmp_path))
        await store.open()
        await store.bind(CONTRACT)
        await store.close()
        assert json.loads((tmp_path / "gallery" / "contract.json").read_text())["model"] == "vggface2"


async def test_logs_hold_no_faces(
    edge: EdgeStore, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pictures, embeddings and remarks stay out of the logs, failures included."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreUnavailable):
        await edge.add(face(1, picture="secret" * 99), embedding(1)[:100])
    os.kill(process_of(edge), signal.SIGKILL)
    await soon(edge.count)
    await edge.close()
    logged = caplog.text + capfd.readouterr().err
    assert "secret" not in logged
    assert "person 1" not in logged
