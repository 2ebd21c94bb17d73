"""A gallery that an older version of this service made, and that knows neither galleries nor people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as qdrant

from service.stores.contracts import to_mapping
from service.stores.edge import upgrade
from service.stores.edge.shard import Shard
from service.stores.edge.store import EdgeStore
from service.stores.payload import to_payload
from service.stores.store import Added
from service.values import DEFAULT_GALLERY
from tests.support.stored_faces import CONTRACT, embedding, face, numbers

FORMER_FIELDS = ("remark", "picture", "box", "landmarks", "detection_score", "sha256", "registered_at", "device_id")


def make_former(folder: Path, faces: int) -> None:
    """A folder as the first version made it, with an index over its faces."""
    folder.mkdir()
    (folder / "contract.json").write_text(json.dumps(to_mapping(CONTRACT)))
    vectors = qdrant.EdgeVectorParams(size=CONTRACT.dimension, distance=qdrant.Distance.Cosine)
    at_once = qdrant.EdgeOptimizersConfig(indexing_threshold=1)  # so that a few faces have an index too
    shard = qdrant.EdgeShard.create(str(folder / "shard"), qdrant.EdgeConfig(vectors=vectors, optimizers=at_once))
    for name in ("remark", "sha256", "device_id"):
        shard.update(qdrant.UpdateOperation.create_field_index(name, qdrant.PayloadSchemaType.Keyword))
    shard.update(qdrant.UpdateOperation.create_field_index("registered_at", qdrant.PayloadSchemaType.Datetime))
    for number in range(1, faces + 1):
        payload: dict[str, Any] = {name: to_payload(face_of(number))[name] for name in FORMER_FIELDS}
        point = qdrant.Point(number, embedding(number).tolist(), payload)
        shard.update(qdrant.UpdateOperation.upsert_points([point]))
    shard.optimize()
    shard.flush()
    shard.close()


def face_of(number: int) -> Any:
    return face(number, remark=f"Person {number // 3}")


async def check(folder: Path, faces: int) -> None:
    """All faces are in the default gallery, found in every way, with their former numbers."""
    store = EdgeStore(folder)
    assert await store.open() == CONTRACT
    await store.bind(CONTRACT, face_id_bits=31)
    assert store.face_id_bits == 53
    assert [each async for each in store.scan(gallery=DEFAULT_GALLERY)] == [face_of(n) for n in range(1, faces + 1)]
    assert await store.count(gallery=DEFAULT_GALLERY) == faces
    assert (await store.search(embedding(7), 1, gallery=DEFAULT_GALLERY)).neighbours[0].face_id == 7
    people, after = await store.people(faces, gallery=DEFAULT_GALLERY, part="person 2")
    assert "Person 2" in {each.remark for each in people}
    assert after is None
    assert {each.faces for each in people} <= {1, 2, 3}
    assert await store.add(face_of(7), embedding(7)) is Added.KNOWN
    assert await store.add(face(faces + 1, gallery="new"), embedding(1)) is Added.NEW
    assert await store.remove(faces + 1, gallery="new")
    await store.close()
    assert await numbers_later(folder) == list(range(1, faces + 1))


async def numbers_later(folder: Path) -> list[int]:
    store = EdgeStore(folder)
    await store.open()
    await store.bind(CONTRACT)
    found = await numbers(store.scan(gallery=DEFAULT_GALLERY))
    await store.close()
    return found


async def test_it_is_brought_up_to_date_as_it_is_opened(tmp_path: Path) -> None:
    """Without an export; the file of the contract remembers that it is done."""
    folder = tmp_path / "gallery"
    make_former(folder, 60)
    await check(folder, 60)
    assert json.loads((folder / "contract.json").read_text()) == {
        **to_mapping(CONTRACT),
        "face_id_bits": 53,
        "fields": 3,
    }


@pytest.mark.parametrize("pages", range(4))
async def test_cut_off_it_goes_on_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    """After any number of its pages, and between the faces and the indexes; the search index stays as it was."""
    folder = tmp_path / "gallery"
    make_former(folder, 60)
    monkeypatch.setattr(upgrade, "FACES_AT_ONCE", 25)
    with monkeypatch.context() as patch:
        steps: Iterator[int] = iter(range(pages))
        complete = upgrade.complete

        def cut_off(*arguments: Any) -> int:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return complete(*arguments)

        patch.setattr(upgrade, "complete", cut_off)
        patch.setattr(upgrade, "make_indexes", lambda _: cut_off())
        shard = Shard(folder)
        with pytest.raises(KeyboardInterrupt):
            shard.bind(CONTRACT, face_id_bits=31)
        shard.close()
    assert "fields" not in json.loads((folder / "contract.json").read_text())
    await check(folder, 60)


def test_faces_stay_in_the_search_index(tmp_path: Path) -> None:
    """So searching is as fast as it was, without another hour of optimizing."""
    folder = tmp_path / "gallery"
    make_former(folder, 60)
    shard = Shard(folder)
    assert shard.faces._shard.edge.info().indexed_vectors_count == 60
    shard.bind(CONTRACT, face_id_bits=31)
    assert shard.faces.figures().indexed == 60
    shard.close()
