"""Messages arrive whole, in order, however the pipe cuts them."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from service.stores.edge.frames import HEADER, PIPE_BYTES, FrameReader, pack, widen
from service.values import Nearest, Neighbour, StoredFace
from tests.support.stored_faces import face as stored_face


def test_frames_come_back_as_they_were_sent() -> None:
    """A byte at a time or all at once; the end of the stream, also within a frame, is None."""
    for size in (1, 3, 1 << 16):
        reading, writing = os.pipe()
        frames = FrameReader(reading)
        stream = b"".join(map(pack, (1, "two", [3.0]))) + pack("cut")[:-1]
        assert not frames.ready(0)
        for start in range(0, len(stream), size):
            os.write(writing, stream[start : start + size])
        os.close(writing)
        assert frames.ready(0)
        assert [frames.read() for _ in range(4)] == [1, "two", [3.0], None]
        os.close(reading)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux widens pipes")
def test_a_pipe_holds_a_page_of_faces(tmp_path: Path) -> None:
    """What is no pipe stays as it is."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    widen(writing)
    assert os.write(writing, bytes(PIPE_BYTES)) == PIPE_BYTES
    for each in (reading, writing):
        os.close(each)
    with (tmp_path / "file").open("wb") as file:
        widen(file.fileno())


AT = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=9, minutes=30)))


@pytest.mark.parametrize(
    "face",
    [
        stored_face(1),
        replace(stored_face(2), registered_at=AT, expires_at=AT.astimezone(UTC)),
        replace(
            stored_face(3),
            remark="𝒵oë \x00 \n",
            picture="",
            device_id="door",
            gallery="staff",
            metadata={"badge": 4711, "of": [None, True, {"a": "é"}]},
            registered_at=datetime.min.replace(tzinfo=UTC),
            expires_at=datetime.max.replace(tzinfo=UTC),
            change=2**53 - 1,
        ),
    ],
    ids=["as usual", "of another zone", "with all that there may be"],
)
def test_a_face_comes_back_as_it_was_sent(face: StoredFace) -> None:
    """Alone, in lists and with its neighbours, to the microsecond; its times are in UTC then."""
    found = Nearest([Neighbour(face.face_id, face.remark, 0.5)], {face.face_id: face}, 7)
    frame = pack((5, True, [face, found]))
    assert HEADER.unpack(frame[: HEADER.size]) == (len(frame) - HEADER.size,)
    number, went_well, [again, found_again] = pickle.loads(frame[HEADER.size :])
    assert (number, went_well, again, found_again) == (5, True, face, found)
    assert [asdict(each) for each in (again, found_again.faces[face.face_id])] == [asdict(face)] * 2
    assert type(found_again.neighbours[0]) is Neighbour
    assert again.registered_at.tzinfo is UTC
