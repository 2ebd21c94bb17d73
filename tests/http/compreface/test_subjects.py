"""Subjects of CompreFace's API: added, listed, renamed and deleted."""

from __future__ import annotations

import pytest

from service.http.compreface import subjects
from tests.http.compreface.conftest import FACES, SUBJECTS, CompreFace

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = "Zoë & co / 張 😀"
IN_PATH = "Zo%C3%AB%20%26%20co%20%2F%20%E5%BC%B5%20%F0%9F%98%80"


async def test_a_subject_comes_into_being_with_its_first_example(
    compreface: CompreFace, portraits: dict[str, bytes]
) -> None:
    """Adding one without answers that the name is free, and keeps nothing; a name in use is 43."""
    assert await compreface.ask("POST", SUBJECTS, 201, json={"subject": ODD}) == {"subject": ODD}
    assert await compreface.subjects() == []
    await compreface.add(portraits["obama"], ODD)
    assert await compreface.ask("GET", f"{SUBJECTS}/") == {"subjects": [ODD]}
    await compreface.fails(400, 43, "POST", SUBJECTS, json={"subject": ODD})


async def test_all_are_listed(
    compreface: CompreFace, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many, each once, though they are read page by page."""
    monkeypatch.setattr(subjects, "_PAGE", 2)
    names = [f"person {number}" for number in range(5)]
    for name in names:
        await compreface.add(portraits["obama"], name)
    assert sorted(await compreface.subjects()) == names
    assert await compreface.ask("DELETE", SUBJECTS) == {"deleted": 5}
    assert await compreface.subjects() == []


async def test_one_is_renamed(compreface: CompreFace, portraits: dict[str, bytes]) -> None:
    """The same name changes nothing; another subject's makes one of the two."""
    await compreface.add(portraits["obama"], "Ann")
    await compreface.add(portraits["obama2"], "Anna")
    path = f"{SUBJECTS}/Ann"
    assert await compreface.ask("PUT", path, json={"subject": "Ann"}) == {"updated": False}
    assert await compreface.ask("PUT", path, json={"subject": "Anna"}) == {"updated": True}
    assert await compreface.subjects() == ["Anna"]
    assert (await compreface.ask("GET", f"{FACES}?subject=Anna"))["total_elements"] == 2
    assert await compreface.ask("PUT", f"{SUBJECTS}/Anna", json={"subject": ODD, "x": 1}) == {"updated": True}
    assert await compreface.ask("PUT", f"{SUBJECTS}/{IN_PATH}", json={"subject": "Ann"}) == {"updated": True}
    await compreface.fails(404, 42, "PUT", f"{SUBJECTS}/Anna", json={"subject": "Ann"})


async def test_one_is_deleted_with_all_examples(compreface: CompreFace, portraits: dict[str, bytes]) -> None:
    await compreface.add(portraits["obama"], ODD)
    await compreface.add(portraits["biden"], "Bob")
    assert await compreface.ask("DELETE", f"{SUBJECTS}/{IN_PATH}") == {"subject": ODD}
    assert await compreface.subjects() == ["Bob"]
    await compreface.fails(404, 42, "DELETE", f"{SUBJECTS}/{IN_PATH}")
