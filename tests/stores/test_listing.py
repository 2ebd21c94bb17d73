"""A list of faces is read on where some go meanwhile; the stores' contract has the rest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from service.stores.listing import FaceReader, Key, key_of, scan
from service.values import StoredFace
from tests.support.stored_faces import face, numbers

FACES = {number: face(number) for number in range(1, 10)}
KEYS = [key_of(each.face_id, each.registered_at) for each in FACES.values()]


def reader_without(gone: set[int]) -> FaceReader:
    """Of nine faces, of which some go after their keys were read."""

    async def keys_from(microseconds: int | None, limit: int) -> list[Key]:
        return [key for key in KEYS if microseconds is None or key[0] >= microseconds][:limit]

    async def keys_at(microseconds: int, first_id: int, limit: int) -> list[Key]:
        return [key for key in KEYS if key[0] == microseconds and key[1] >= first_id][:limit]

    async def fetch(face_ids: list[int]) -> Mapping[int, StoredFace]:
        return {number: FACES[number] for number in face_ids if number not in gone}

    return FaceReader(keys_from=keys_from, keys_at=keys_at, fetch=fetch)


@pytest.mark.parametrize(
    ("gone", "limit", "shown"),
    [
        (set(), 3, [1, 2, 3]),
        ({1}, 1, [2]),
        ({1, 2, 3, 4}, 3, [5, 6, 7]),
        ({2, 5}, None, [1, 3, 4, 6, 7, 8, 9]),
        ({8, 9}, 8, [1, 2, 3, 4, 5, 6, 7]),
        (set(FACES), 2, []),
    ],
)
async def test_others_take_the_place_of_faces_that_go_meanwhile(
    gone: set[int], limit: int | None, shown: list[int]
) -> None:
    """A page that is short, or empty, is the last one, so that no reader takes the middle of the list for its end."""
    assert await numbers(scan(reader_without(gone), 0, limit)) == shown
