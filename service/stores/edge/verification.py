"""Compares a loaded shard with its ledger: every face, and that every index finds what the faces say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import qdrant_edge as qdrant

from service.stores.edge.findings import Findings
from service.stores.edge.ledger import Ledger, digest_of
from service.stores.listing import key_of
from service.stores.payload import EXPIRES_AT, GALLERY, KEYWORDS, REGISTERED_AT, to_face, to_time
from service.stores.people import NAME, NAME_ORDER, PERSON

FACES_AT_ONCE = 1000
_COUNTED = (GALLERY, *KEYWORDS, NAME, NAME_ORDER, PERSON)


@dataclass(slots=True)
class _Tally:
    """What the indexes should tell of the faces that were read."""

    values: dict[str, Counter[Any]] = field(default_factory=lambda: {name: Counter() for name in _COUNTED})
    keys: set[tuple[int, int]] = field(default_factory=set)
    expiring: int = 0

    def add(self, face_id: int, payload: dict[str, Any]) -> None:
        for name, counter in self.values.items():
            if payload.get(name) is not None:
                counter[payload[name]] += 1
        self.keys.add(key_of(face_id, to_time(payload)))
        self.expiring += payload.get(EXPIRES_AT) is not None


def verify_ids(edge: qdrant.EdgeShard, ledger: Ledger) -> Findings:
    """Whether all faces are there, and no others: after the process alone was killed, which harms no file."""
    known, announced = set(ledger.digests()), ledger.announced()
    request = qdrant.ScrollRequest(limit=len(known | announced) + 1, with_payload=False, with_vector=False)
    records: list[Any] = edge.scroll(request)[0]
    present = {each.id for each in records}
    findings = Findings(len(present), len(known), missing=sorted(known - present - announced))
    findings.damaged = dict.fromkeys(sorted(present - known - announced), "was removed, or never registered")
    if not findings:
        _settle(edge, ledger, announced)
    return findings


def verify_all(edge: qdrant.EdgeShard, ledger: Ledger) -> Findings:
    """Compare every face and every index; what was announced, and the faces of a power cut, are settled."""
    known, announced = ledger.digests(), ledger.announced()
    # The announcement of a new face needn't outlive a power cut; the face may, though nobody was told of it.
    rebooted = ledger.note_boot()
    findings, tally, new, seen = Findings(expected=len(known)), _Tally(), set[int](), set[int]()
    for face_id, payload, digest in _digests(edge):
        seen.add(face_id)
        if payload is None or digest is None:
            findings.damaged[face_id] = "can't be read"
            continue
        tally.add(face_id, payload)
        if face_id in announced or known.get(face_id) == digest:
            continue
        if face_id in known:
            findings.damaged[face_id] = "is not as it was registered"
        elif rebooted:
            new.add(face_id)
        else:
            findings.damaged[face_id] = "was removed, or never registered"
    findings.faces = len(seen)
    findings.missing = sorted(known.keys() - seen - announced)
    if len(tally.keys) == len(seen):  # else the indexes know what can't be read here
        findings.indexes = _wrong_indexes(edge, tally, seen)
    if not findings:
        _settle(edge, ledger, announced | new)
    return findings


def digests_now(edge: qdrant.EdgeShard, face_ids: Sequence[int]) -> dict[int, int | None]:
    """The digests of some faces as the shard has them, None for those that it hasn't."""
    found: dict[int, int | None] = dict.fromkeys(face_ids)
    for begin in range(0, len(face_ids), FACES_AT_ONCE):
        records: list[Any] = edge.retrieve(
            [*face_ids[begin : begin + FACES_AT_ONCE]], with_payload=True, with_vector=True
        )
        found |= {each.id: digest_of(each.id, each.vector, each.payload) for each in records}
    return found


def all_digests(edge: qdrant.EdgeShard) -> Iterator[dict[int, int | None]]:
    """Those of every face, some at a time. Raises what a face that can't be read does."""
    for records in _pages(edge):
        yield {each.id: digest_of(each.id, each.vector, each.payload) for each in records}


def _settle(edge: qdrant.EdgeShard, ledger: Ledger, face_ids: set[int]) -> None:
    if face_ids:
        ledger.settle(digests_now(edge, sorted(face_ids)))


def _digests(edge: qdrant.EdgeShard) -> Iterator[tuple[int, dict[str, Any] | None, int | None]]:
    for records in _pages(edge):
        for each in records:
            try:
                payload: dict[str, Any] = each.payload
                to_face(each.id, payload)
                yield each.id, payload, digest_of(each.id, each.vector, payload)
            except (KeyError, TypeError, ValueError):
                yield each.id, None, None


def _pages(edge: qdrant.EdgeShard) -> Iterator[list[Any]]:
    after = 0
    while True:
        request = qdrant.ScrollRequest(offset=after + 1, limit=FACES_AT_ONCE, with_payload=True, with_vector=True)
        records: list[Any] = edge.scroll(request)[0]
        if not records:
            return
        yield records
        after = records[-1].id


def _wrong_indexes(edge: qdrant.EdgeShard, tally: _Tally, seen: set[int]) -> list[str]:
    wrong = []
    for name, counter in tally.values.items():
        hits: list[Any] = edge.facet(qdrant.FacetRequest(name, len(counter) + 1, exact=True)).hits
        if {hit.value: hit.count for hit in hits if hit.count} != counter:  # what was removed may still be named
            wrong.append(f"the index of {name} doesn't find what the faces say")
    order = qdrant.OrderBy(REGISTERED_AT, qdrant.Direction.Asc, None)
    request = qdrant.ScrollRequest(limit=len(seen) + 1, with_payload=False, with_vector=False, order_by=order)
    records: list[Any] = edge.scroll(request)[0]
    if {(each.order_value, each.id) for each in records} != tally.keys:
        wrong.append(f"the index of {REGISTERED_AT} doesn't find what the faces say")
    late = qdrant.FieldCondition(EXPIRES_AT, range=qdrant.RangeDateTime(gte="1970-01-01T00:00:00Z"))
    if edge.count(qdrant.CountRequest(exact=True, filter=qdrant.Filter(must=[late]))) != tally.expiring:
        wrong.append(f"the index of {EXPIRES_AT} doesn't find what the faces say")
    if seen and not _search_finds(edge, seen):
        wrong.append("a search doesn't find every face")
    return wrong


def _search_finds(edge: qdrant.EdgeShard, seen: set[int]) -> bool:
    first: list[Any] = edge.scroll(qdrant.ScrollRequest(limit=1, with_payload=False, with_vector=True))[0]
    request = qdrant.QueryRequest(
        len(seen) + 1,
        query=qdrant.Query.Nearest(list(first[0].vector)),
        with_payload=False,
        params=qdrant.SearchParams(exact=True),
    )
    hits: list[Any] = edge.query(request)
    return {hit.id for hit in hits} == seen
