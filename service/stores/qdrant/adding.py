"""Adds faces to a collection, so that each of several services knows which of them added a face."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from service.stores.payload import IDENTITY, outcome, to_payload
from service.stores.qdrant.points import ADDITION, Point, chunks, to_point
from service.stores.qdrant.requests import Requests
from service.stores.store import Added
from service.values import Embedding, StoredFace


async def add(requests: Requests, faces: Sequence[tuple[StoredFace, Embedding]], limit_s: float | None) -> list[Added]:
    """Insert what isn't there, then read whose each face_id is.

    An insertion is atomic for each face, unlike looking first and writing then; on disk once it has returned.
    """
    addition = uuid.uuid4().hex
    points: dict[int, Point] = {}
    for face, embedding in faces:
        # The same face may come twice.
        points.setdefault(face.face_id, to_point(face, embedding, addition, requests.addresses))
    fields = [*IDENTITY, ADDITION]
    async with requests.link.within(limit_s):
        # Of many faces those that are there are left out: an import that is taken up again need not send them.
        there = (
            {each.id for each in await requests.read([*points], with_payload=False, limit_s=limit_s)}
            if len(points) > 1
            else set()
        )
        for chunk in chunks(point for face_id, point in points.items() if face_id not in there):
            await requests.insert(chunk, limit_s)
        present = await requests.read_written([*points], limit_s, with_payload=fields)
    # A face that isn't there was removed since: it was added.
    owners: dict[int, Any] = {face_id: point.payload for face_id, point in points.items()}
    owners |= {record.id: record.payload for record in present}
    ours = {face_id for face_id, owner in owners.items() if owner[ADDITION] == addition}
    outcomes = []
    for face, _ in faces:
        new = face.face_id in ours
        ours.discard(face.face_id)  # the second time it is known
        outcomes.append(outcome(to_payload(face), None if new else owners[face.face_id]))
    return outcomes
