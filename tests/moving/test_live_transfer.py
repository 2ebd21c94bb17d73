"""Moving a gallery that is in use: an export is of one moment, and an import leaves nothing where it doesn't belong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import InvalidRequest, UnknownGallery, UnusableArchive
from service.moving import transfer as transfers
from service.moving.transfer import Transfer
from service.stores.edge.store import EdgeStore
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added, Store
from service.values import DEFAULT_GALLERY, Embedding, FaceChanges, StoredFace
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, START, embedding, face

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)]

NOW = START + timedelta(days=1)
SOON = NOW + timedelta(days=1)
PICTURE = "cGljdHVyZQ=="

UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"a": {"b": {"c": {"d": {}}}}}}, "deep"),
    ({"metadata": {f"{n}": n for n in range(65)}}, "64 keys"),
    ({"metadata": {"a": "x" * 4096}}, "4096 bytes"),
    ({"metadata": {"a": 2**60}}, "whole numbers"),
    ({"metadata": {"a": float("nan")}}, "finite"),
    ({"metadata": {"a": "\ud800"}}, "surrogate"),
    ({"metadata": []}, "JSON object"),
    ({"remark": "x" * 1025}, "1024 characters"),
    ({"remark": "\ud800"}, "surrogate"),
    ({"remark": 7}, "text is missing"),
    ({"picture": "x"}, "base64"),
    ({"detection_score": float("nan")}, "no coordinate"),
    ({"detection_score": 10**400}, "no coordinate"),
    ({"face_id": 0}, "face_id"),
    ({"face_id": True}, "face_id"),
    ({"face_id": 2**31}, "31 bits"),
    ({"gallery": "../other"}, "gallery's name"),
    ({"gallery": None}, "gallery's name"),
    ({"expires_at": "2026-01-01"}, "UTC"),
    ({"expires_at": 5}, "not a face"),
    ({"registered_at": "0001-01-01T00:00:00"}, "UTC"),
    ({"box": None}, "not a face"),
    ({"vector": [1e39] * 512}, "vector"),
    ({"vector": [float("nan")] * 512}, "vector"),
    ({"vector": [[0.1]] * 512}, "vector"),
    ({"vector": [1.0]}, "vector"),
    ({"vector": "x"}, ""),
    ({"vector": {"0": 1}}, ""),
]
"""What a face's line is changed by, and what is said of it then."""

MakeStore = Callable[[str], Store]
Lines = list[bytes]


@pytest.fixture(params=["edge", "server"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeStore]:
    """Makes a store by name, in a folder or in a collection of a server."""
    if request.param == "edge":
        yield lambda name: EdgeStore(tmp_path / name)
        return
    server = Qdrant()
    await server.start()
    yield lambda name: QdrantStore(server.connect, name)
    await server.stop()


@pytest.fixture
async def opened(stores: MakeStore) -> AsyncIterator[Callable[[str], Any]]:
    """Opens a store by name, with the gallery `visitors`; all are closed at the end."""
    made: list[Store] = []

    async def open_(name: str) -> Store:
        store = stores(name)
        made.append(store)
        await store.open()
        await store.bind(CONTRACT)
        await store.create_gallery("visitors", START)
        return store

    yield open_
    for store in made:
        await store.close()


def moving(store: Store) -> Transfer:
    return Transfer(store, CONTRACT, lambda: NOW)


def some_faces(count: int) -> list[StoredFace]:
    """Every third in the gallery `visitors`, every fifth with metadata and an end of its time."""
    return [
        face(
            n,
            picture=PICTURE,
            gallery=DEFAULT_GALLERY if n % 3 else "visitors",
            metadata=None if n % 5 else {"badge": n, "doors": ["é", None, 0.1]},
            expires_at=None if n % 5 else SOON,
        )
        for n in range(1, count + 1)
    ]


async def fill(store: Store, faces: Iterable[StoredFace]) -> None:
    batch = [(each, embedding(each.face_id)) for each in faces]
    for start in range(0, len(batch), 200):
        assert set(await store.add_many(batch[start : start + 200])) <= {Added.NEW}


async def exported(store: Store, gallery: str | None = None) -> Lines:
    return b"".join([some async for some in moving(store).export(gallery)]).splitlines(keepends=True)


async def contents(store: Store) -> dict[int, tuple[StoredFace, Embedding]]:
    return {known.face_id: (known, vector) async for known, vector in store.scan_embedded()}


async def sent(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


def same(one: dict[int, tuple[StoredFace, Embedding]], other: dict[int, tuple[StoredFace, Embedding]]) -> bool:
    """Equal numbers and payloads, and vectors to 1e-6."""
    assert [known for known, _ in one.values()] == [known for known, _ in other.values()]
    return all(np.allclose(one[n][1], other[n][1], rtol=0, atol=1e-6) for n in one)


class TestExport:
    async def test_is_of_the_moment_it_began(
        self, opened: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever is registered, deleted, changed and renamed meanwhile: what is restored has the faces of then.

        Less those that were deleted since; and what was changed is as it was or as it is.
        """
        monkeypatch.setattr(transfers, "FACES_AT_ONCE", 8)
        here, there = await opened("here"), await opened("there")
        await fill(here, some_faces(300))
        before = await contents(here)
        lines = [await anext(export := moving(here).export(None))]
        later = 10_000
        deleted = set()
        async for some in export:
            lines.append(some)
            later += 1
            await here.add(face(later, registered_at=NOW + timedelta(microseconds=later)), embedding(later))
            n = 300 - len(lines) * 3
            deleted.add(n)
            await here.remove(n, gallery=None)
            changes = FaceChanges(remark=f"new {n}", metadata={"changed": True}, expires_at=SOON)
            await here.change(n - 1, changes, gallery=before[n - 1][0].gallery)
            await here.rename_person(f"person {n - 2}", "renamed", gallery=before[n - 2][0].gallery)
        done = await moving(there).import_lines(sent(b"".join(lines).splitlines(keepends=True)), None)
        restored = await contents(there)
        assert done.added == len(restored)
        assert before.keys() - deleted <= restored.keys() <= before.keys()
        assert len(deleted) > 20
        now = await contents(here)
        for number, (known, vector) in restored.items():
            assert known == before[number][0] or known == now[number][0]
            assert np.allclose(vector, before[number][1], rtol=0, atol=1e-6)
        assert len(restored) < len(before)

    async def test_of_nothing_but_what_is_kept(self, opened: Callable[[str], Any]) -> None:
        """A gallery alone; nothing of others, nothing whose time is up, and equal when it is restored."""
        here, there = await opened("here"), await opened("there")
        await fill(here, some_faces(150))
        await fill(here, [face(900, gallery="visitors", expires_at=NOW), face(901, expires_at=NOW)])
        lines = await exported(here, "visitors")
        assert json.loads(lines[0])["count"] == 51
        assert [json.loads(line)["face_id"] for line in lines[1:-1]] == list(range(3, 151, 3))
        await moving(there).import_lines(sent(await exported(here)), None)
        assert same(await contents(there), {n: each for n, each in (await contents(here)).items() if n < 900})

    async def test_of_faces_that_came_with_another_clock(self, opened: Callable[[str], Any]) -> None:
        """One that is there is exported, though by our clock it will be registered tomorrow only."""
        here = await opened("here")
        await fill(here, [face(1), face(2, registered_at=SOON)])
        assert json.loads((await exported(here))[-1])["end"]["count"] == 2


class TestImport:
    async def test_again_and_by_two_at_once(self, opened: Callable[[str], Any]) -> None:
        """Nothing comes twice, in whatever order the two get there."""
        here, there = await opened("here"), await opened("there")
        await fill(here, some_faces(600))
        lines = await exported(here)
        done = await asyncio.gather(*(moving(there).import_lines(sent(lines), None) for _ in range(2)))
        assert sum(each.added for each in done) == 600
        assert [each.added + each.known for each in done] == [600, 600]
        assert same(await contents(there), await contents(here))

    @pytest.mark.parametrize("named", ["visitors", None])
    @pytest.mark.parametrize("made_again", [False, True])
    async def test_into_a_gallery_that_is_removed_meanwhile(
        self, opened: Callable[[str], Any], named: str | None, made_again: bool
    ) -> None:
        """It ends with an error, and nothing is left there, even if a gallery of that name was made since."""
        here, there = await opened("here"), await opened("there")
        await fill(here, [face(n, picture=PICTURE, gallery="visitors") for n in range(1, 601)])

        async def lines() -> AsyncIterator[bytes]:
            for n, line in enumerate(await exported(here)):
                if n == 400:
                    await there.remove_gallery("visitors")
                    if made_again:
                        await there.create_gallery("visitors", NOW)
                yield line

        with pytest.raises(UnknownGallery, match="visitors was removed"):
            await moving(there).import_lines(lines(), named)
        assert await contents(there) == {}
        assert [each.name for each in await there.galleries()] == ["default", "visitors"][: 1 + made_again]

    async def test_into_a_gallery_that_is_not_there(self, opened: Callable[[str], Any]) -> None:
        """None is made that the request names; those that the archive names are."""
        here, there = await opened("here"), await opened("there")
        await fill(here, [face(1, picture=PICTURE, gallery="visitors")])
        await there.remove_gallery("visitors")
        lines = await exported(here)
        with pytest.raises(UnknownGallery):
            await moving(there).import_lines(sent(lines), "visitors")
        assert len(await there.galleries()) == 1
        await moving(there).import_lines(sent(lines), None)
        assert [each.name for each in await there.galleries()] == ["default", "visitors"]

    async def test_what_came_before_a_broken_connection_stays(self, opened: Callable[[str], Any]) -> None:
        """And the rest comes with the next try."""
        here, there = await opened("here"), await opened("there")
        await fill(here, some_faces(20))
        lines = await exported(here)

        async def broken() -> AsyncIterator[bytes]:
            for line in lines[:11]:
                yield line
            raise InvalidRequest("The archive did not arrive.")

        with pytest.raises(InvalidRequest):
            await moving(there).import_lines(broken(), None)
        assert len(await contents(there)) == 10
        done = await moving(there).import_lines(sent(lines), None)
        assert (done.added, done.known, done.taken) == (10, 10, 0)

    async def test_what_could_not_have_been_registered(self, tmp_path: Path) -> None:
        """The line is named and why; the face before it is kept."""
        store = EdgeStore(tmp_path / "here")
        await store.open()
        await store.bind(CONTRACT)
        await fill(store, [face(n, picture=PICTURE) for n in (1, 2)])
        lines = await exported(store)
        for n in (1, 2):
            await store.remove(n, gallery=None)
        for added, (changes, said) in enumerate(UNUSABLE):
            spoilt = json.dumps(json.loads(lines[2]) | changes).encode() + b"\n"
            now = f"line 3: .*{said}.*{0 if added else 1} faces were added"
            with pytest.raises(UnusableArchive, match=now):
                await moving(store).import_lines(sent([*lines[:2], spoilt, lines[3]]), None)
            assert list(await contents(store)) == [1]
        await store.close()
