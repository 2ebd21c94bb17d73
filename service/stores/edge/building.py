"""The process that makes a shard beside the one in use: `python -m service.stores.edge.building DRAFT DIMENSION PID`.

Building the search index of 100,000 faces takes over a minute, in which Edge answers nothing else; so it is done here,
to a copy. Orders (their name and what they are about) come in on stdin, and each is answered on stdout: whether it went
well, and a value or a sentence. The end of stdin, or of the process PID whose child this is, is its end, too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import qdrant_edge as qdrant

from service.files import fsync
from service.stores.edge.frames import FrameReader, pack
from service.stores.edge.ledger import digest_of
from service.stores.edge.new_shards import new_shard

Face = tuple[int, Any, dict[str, Any]]
"""A face_id, its embedding, and its payload."""

NICENESS = 5
"""Recognitions come first, whatever the processors have to do."""

_PR_SET_PDEATHSIG = 1


class Draft:
    """The shard that is being made."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._folder = folder
        self._edge = new_shard(folder, dimension)

    def start(self) -> None:
        """Nothing: its answer says that the shard is there."""

    def put(self, faces: Sequence[Face]) -> None:
        """Add or replace faces. Raises ValueError where one doesn't read as it was given."""
        points = [qdrant.Point(face_id, list(vector), payload) for face_id, vector, payload in faces]
        self._edge.update(qdrant.UpdateOperation.upsert_points(points))
        records: list[Any] = self._edge.retrieve([each[0] for each in faces], with_payload=True, with_vector=True)
        found = {each.id: digest_of(each.id, each.vector, each.payload) for each in records}
        wrong = [each[0] for each in faces if found.get(each[0]) != digest_of(*each)]
        if wrong:
            raise ValueError(f"the faces {wrong[:5]} can't be read as they were written")

    def remove(self, face_ids: Sequence[int]) -> None:
        """Forget faces, whether they are there or not."""
        self._edge.update(qdrant.UpdateOperation.delete_points([*face_ids]))

    def bring(self, faces: Sequence[Face], gone: Sequence[int]) -> None:
        """Add or replace some faces, and forget others."""
        if faces:
            self.put(faces)
        if gone:
            self.remove(gone)

    def build(self) -> None:
        """Build the search index over all that is there, where there is enough."""
        self._edge.flush()
        self._edge.optimize()

    def flush(self) -> int:
        """Bring everything so far to the disk; how many faces that are."""
        self._edge.flush()
        for folder, _, names in os.walk(self._folder):
            for each in (*names, "."):
                with suppress(FileNotFoundError):  # Edge makes and drops files in a thread of its own
                    fsync(Path(folder, each))
        return self._edge.count(qdrant.CountRequest(exact=True))

    def close(self) -> int:
        """Bring everything to the disk and let go of it; how many faces there are."""
        faces = self.flush()
        self._edge.close()
        return faces


def serve(draft: Draft, frames: FrameReader, answers: int) -> None:
    """Carry out orders until the stream ends."""
    while (order := frames.read()) is not None:
        name, arguments = order
        try:
            answer = True, getattr(draft, name)(*arguments)
        except Exception as error:  # noqa: BLE001 - Edge raises plain Exceptions, and who asked must get an answer
            answer = False, f"{type(error).__name__}: {error!s:.200}"
        rest = memoryview(pack(answer))
        while rest:
            rest = rest[os.write(answers, rest) :]


def _end_with(parent: int) -> None:
    """Have the system end this process with the one that started it, also in the midst of Edge's work."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def main(folder: Path, dimension: int, parent: int) -> None:
    """Make the shard, and serve until stdin ends."""
    _end_with(parent)
    os.nice(NICENESS)
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not land among the answers
    with suppress(BrokenPipeError):
        serve(Draft(folder, dimension), FrameReader(0), answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
