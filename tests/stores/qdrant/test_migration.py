"""What goes along when the faces of a shared gallery get another model; tests/moving has the faces themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.migration import QdrantMigration
from service.stores.qdrant.store import QdrantStore
from service.values import DEFAULT_GALLERY as HERE
from service.values import GalleryEntry
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, START

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

OTHER = replace(CONTRACT, model="casia-webface", digest="f" * 64)


@pytest.mark.parametrize("bits", [31, 53])
async def test_galleries_and_the_size_of_numbers_go_along(server: Qdrant, bits: int) -> None:
    """Also the galleries that come or go meanwhile; each keeps the time at which it was made."""
    old = QdrantStore(server.connect, "faces")
    await old.open()
    await old.bind(CONTRACT, face_id_bits=bits)
    await old.create_gallery("stays", START)
    await old.create_gallery("goes", START)
    migration = QdrantMigration(server.connect, "faces", collection_settings=CollectionSettings())
    assert await migration.open() == CONTRACT
    begun = await migration.begin(OTHER)
    assert begun.face_id_bits == bits
    assert {each.name for each in await begun.galleries()} == {HERE, "stays", "goes"}
    await old.remove_gallery("goes")
    await old.create_gallery("comes", START + timedelta(days=1))
    async with migration.block_writes():
        await migration.switch()
    await migration.close()
    new = QdrantStore(server.connect, "faces")
    assert await new.open() == OTHER
    await new.bind(OTHER, face_id_bits=84 - bits)
    assert new.face_id_bits == bits
    assert await new.galleries() == [
        GalleryEntry(name=HERE, created_at=None),
        GalleryEntry(name="comes", created_at=START + timedelta(days=1)),
        GalleryEntry(name="stays", created_at=START),
    ]
    await old.close()
    await new.close()
