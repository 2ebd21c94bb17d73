"""The bytes of photos in memory are bounded over all requests, and no sender gets all of them."""

from __future__ import annotations

import pytest

from service.errors import Overloaded
from service.http.uploads import Buffer, Uploads


def buffer(uploads: Uploads, caller: str, count: int) -> Buffer:
    """What a new request of the caller holds."""
    made = uploads.begin(caller).buffer()
    made.add(bytes(count))
    return made


def test_bytes_count_until_they_are_released() -> None:
    """Those that were taken out, too: they are in memory still."""
    uploads = Uploads(1000)
    upload = uploads.begin("door")
    made = upload.buffer()
    made.add(b"ab")
    made.add(b"c")
    assert (len(made), made.begin(2), made.take(), len(made)) == (3, b"ab", b"abc", 0)
    assert uploads.held_bytes == 3
    made.release()
    made.release()
    upload.end()
    assert uploads.held_bytes == 0


def test_a_request_that_ends_gives_everything_back() -> None:
    uploads = Uploads(1000)
    upload = uploads.begin("door")
    for _ in range(3):
        upload.buffer().add(bytes(100))
    upload.end()
    assert uploads.held_bytes == 0
    assert uploads._by_caller == {}


def test_beyond_the_limit_there_is_no_room() -> None:
    """The sentence says when to try again, and what was refused isn't held."""
    uploads = Uploads(1000)
    held = [buffer(uploads, f"door-{number}", 100) for number in range(10)]
    with pytest.raises(Overloaded, match="try again in 1 s"):
        buffer(uploads, "another", 1)
    assert (uploads.held_bytes, uploads.refused) == (1000, 1)
    held[0].release()
    assert len(buffer(uploads, "another", 50)) == 50


def test_a_sender_of_many_gets_no_more_than_is_left() -> None:
    """So that others have room whatever one does."""
    uploads = Uploads(1000)
    for _ in range(5):
        buffer(uploads, "importer", 100)
    with pytest.raises(Overloaded):
        buffer(uploads, "importer", 100)
    assert len(buffer(uploads, "door", 200)) == 200


def test_the_only_request_of_a_sender_may_have_all_that_is_left() -> None:
    uploads = Uploads(1000)
    buffer(uploads, "door", 100)
    assert len(buffer(uploads, "another", 900)) == 900


def test_a_request_alone_is_received_whatever_the_limit() -> None:
    """How large one may be is said by FACE_MAX_BYTES."""
    uploads = Uploads(10)
    alone = buffer(uploads, "door", 5000)
    with pytest.raises(Overloaded):
        buffer(uploads, "another", 1)
    alone.add(bytes(10))
    assert uploads.held_bytes == 5010
