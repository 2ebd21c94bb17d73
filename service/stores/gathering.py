"""Reads what a search found, as far as it is needed: a face's picture is a hundred times as much as its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.values import Nearest, Neighbour, StoredFace

READ_AT_ONCE = 8
"""Faces that are read together; most searches need no more."""


class Gathering:
    """The hits of a search whose faces are read, the best first, until they show so many people."""

    def __init__(self, hits: Sequence[Any], people: int | None) -> None:
        """`hits` are Qdrant's points with scores, best first; `people` different remarks are enough, None wants all."""
        self._hits = hits
        self._people = people
        self._asked = 0
        self._faces: dict[int, StoredFace] = {}

    def wanted(self) -> list[int]:
        """The next faces to read, by face_id; none once there are enough."""
        remarks = {face.remark for face in self._faces.values()}
        if self._people is not None and len(remarks) >= self._people:
            return []
        ids = [hit.id for hit in self._hits[self._asked : self._asked + READ_AT_ONCE]]
        self._asked += len(ids)
        return ids

    def add(self, faces: Mapping[int, StoredFace]) -> None:
        """Those of the wanted faces that are still there."""
        self._faces.update(faces)

    def nearest(self) -> Nearest:
        """What was read."""
        # Float rounding puts some scores a hair outside of what a cosine can be.
        neighbours = [
            Neighbour(hit.id, self._faces[hit.id].remark, min(1.0, max(-1.0, hit.score)))
            for hit in self._hits[: self._asked]
            if hit.id in self._faces
        ]
        return Nearest(neighbours, self._faces, found=len(self._hits))
