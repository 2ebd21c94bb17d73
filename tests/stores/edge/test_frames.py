"""Messages arrive whole, in order, however the pipe cuts them."""

from __future__ import annotations

import os

from service.stores.edge.frames import FrameReader, pack


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
