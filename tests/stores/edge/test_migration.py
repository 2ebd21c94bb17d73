"""What a gallery of another model takes over from the old one, beside the faces."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from service.stores.edge.migration import EdgeMigration
from service.stores.edge.store import EdgeStore
from tests.support.stored_faces import CONTRACT, START, embedding, face

OTHER = replace(CONTRACT, model="other")


async def test_the_new_one_has_the_galleries_and_the_kind_of_numbers_of_the_old_one(folder: Path) -> None:
    """Also where an earlier try was given up, and a gallery went, came or was made anew since."""
    old = EdgeStore(folder)
    await old.open()
    await old.bind(CONTRACT, face_id_bits=53)
    for name in ("goes", "stays", "anew"):
        await old.create_gallery(name, START)
    await old.close()
    migration = EdgeMigration(folder)
    await migration.open()
    begun = await migration.begin(OTHER)
    assert begun.face_id_bits == 53
    await begun.add_many([(face(n, gallery=name), embedding(n)) for n, name in enumerate(("goes", "stays", "anew"), 1)])
    await migration.close()

    await old.open()
    await old.bind(CONTRACT)
    for name in ("goes", "anew"):
        await old.remove_gallery(name)
    for name in ("anew", "comes"):
        await old.create_gallery(name, START + timedelta(days=1))
    expected = await old.galleries()
    await old.close()

    migration = EdgeMigration(folder)
    await migration.open()
    resumed = await migration.begin(OTHER)
    assert await resumed.galleries() == expected
    assert [await resumed.count(gallery=each.name) for each in expected] == [0, 0, 0, 1]
    await migration.switch()
    await migration.drop_old()
    later = EdgeStore(folder)
    assert await later.open() == OTHER
    await later.bind(OTHER)
    assert later.face_id_bits == 53
    assert await later.galleries() == expected
    await later.close()
