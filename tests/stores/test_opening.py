"""The settings choose where the gallery is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.settings import Settings
from service.stores.opening import open_store
from service.stores.store import Added
from tests.support.qdrant import KEY, LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, embedding, face


async def test_the_settings_name_the_folder(tmp_path: Path) -> None:
    """FACE_DATA is the folder in which the gallery lies."""
    store = open_store(Settings(data=tmp_path))
    await store.open()
    await store.bind(CONTRACT)
    await store.close()
    assert json.loads((tmp_path / "gallery" / "contract.json").read_text())["model"] == "vggface2"


@pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)
async def test_the_settings_choose_it(server: Qdrant) -> None:
    """FACE_QDRANT_URL and its companions."""
    settings = Settings.from_env(
        {
            "FACE_QDRANT_URL": "http://127.0.0.1:6333",
            "FACE_QDRANT_GRPC_PORT": str(server.port),
            "FACE_QDRANT_API_KEY": KEY,
            "FACE_QDRANT_COLLECTION": "visitors",
            "FACE_QDRANT_SHARDS": "3",
            "FACE_QDRANT_QUANTIZE": "int8",
        }
    )
    store = open_store(settings)
    assert await store.open() is None
    await store.bind(CONTRACT)
    assert await store.add(face(1), embedding(1)) is Added.NEW
    await store.close()
    made = server.last["Create"]
    assert made.collection_name.startswith("visitors-")
    assert made.shard_number == 3
    assert made.HasField("quantization_config")
