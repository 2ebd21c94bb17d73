"""A day of a client of CompreFace's: every operation once with success, on the embedded store and on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from service.settings import Settings
from tests.conftest import MODELS, running
from tests.http.compreface.conftest import DETECT, FACES, RECOGNIZE, SUBJECTS, VERIFY, CompreFace, form
from tests.support.qdrant import Qdrant


@pytest_asyncio.fixture(params=["edge", "server"])
async def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CompreFace]:
    """A client of a service of the test's own, on either store."""
    settings = Settings(data=tmp_path / "data", model_dir=MODELS, model="casia-webface", compreface=True)
    if request.param == "edge":
        async with running(settings) as client:
            yield CompreFace(client)
        return
    server = Qdrant()
    await server.start()
    try:
        async with running(replace(settings, qdrant_url=server.url, qdrant_grpc_port=server.port)) as client:
            yield CompreFace(client)
    finally:
        await server.stop()


async def test_every_operation(fresh: CompreFace, portraits: dict[str, bytes]) -> None:
    """What one has written, the others show."""
    assert await fresh.ask("POST", SUBJECTS, 201, json={"subject": "Ann"}) == {"subject": "Ann"}
    first, second = [await fresh.add(portraits[name], "Ann") for name in ("obama", "obama2")]
    third = await fresh.add(portraits["biden"], "Bob")
    listed = await fresh.ask("GET", f"{FACES}?size=1&page=1&subject=Ann")
    assert (listed["faces"], listed["total_elements"]) == ([{"image_id": second, "subject": "Ann"}], 2)
    assert await fresh.ask("PUT", f"{SUBJECTS}/Ann", json={"subject": "Anna"}) == {"updated": True}
    assert await fresh.subjects() == ["Anna", "Bob"]
    [face] = (await fresh.about(portraits["obama3"], f"{RECOGNIZE}?prediction_count=2"))["result"]
    assert [each["subject"] for each in face["subjects"]] == ["Anna", "Bob"]
    [compared] = (await fresh.about(portraits["biden"], f"{FACES}/{third}/verify"))["result"]
    assert (compared["subject"], compared["similarity"] > 0.99) == ("Bob", True)
    photos = {"source_image": portraits["obama"], "target_image": portraits["biden"]}
    [told] = (await fresh.ask("POST", VERIFY, data=form(**photos)))["result"]
    assert told["face_matches"][0]["similarity"] < 0.5
    assert len((await fresh.about(portraits["obama"], DETECT))["result"]) == 1
    for path in (f"{FACES}/{first}/img", f"/api/v1/static/any/images/{first}"):
        assert (await fresh.ask("GET", path)).startswith(b"\xff\xd8")
    assert await fresh.ask("DELETE", f"{FACES}/{first}") == {"image_id": first, "subject": "Anna"}
    assert await fresh.ask("POST", f"{FACES}/delete", json=[second]) == [{"image_id": second, "subject": "Anna"}]
    assert await fresh.ask("DELETE", f"{SUBJECTS}/Bob") == {"subject": "Bob"}
    await fresh.add(portraits["obama"], "Ann")
    assert await fresh.ask("DELETE", f"{FACES}?subject=Ann") == {"deleted": 1}
    await fresh.add(portraits["obama"], "Ann")
    assert await fresh.ask("DELETE", SUBJECTS) == {"deleted": 1}
    assert await fresh.ask("DELETE", FACES) == {"deleted": 0}
