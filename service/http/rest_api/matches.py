"""The people whom a face may be, as /v1 tells them; and for the audit trail, whom it was taken for."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from service.audit.events import Subject
from service.gallery.photos import PhotoReader, Terms
from service.gallery.scoring import Candidate
from service.http.audit import note
from service.http.rest_api.answers import KnownMatch
from service.http.rest_api.passing_photos import PassingPhotos


def note_best(request: web.Request, matches: Sequence[KnownMatch]) -> None:
    """Write down the person that a face was taken for, if it was; matches come best first."""
    note(
        request,
        *(Subject(remark=each.remark, face_id=each.face_id, score=each.score) for each in matches[:1] if each.matched),
    )


async def pictures_of(
    reader: PhotoReader, include: str | None, terms: Terms, candidates: list[Candidate]
) -> dict[int, str] | None:
    """None where they weren't asked for."""
    return await reader.pictures(candidates, gallery=terms.gallery) if "picture" in (include or "") else None


def known_matches(
    candidates: list[Candidate],
    threshold: float,
    pictures: dict[int, str] | None,
    photos: PassingPhotos | None,
    *,
    gallery: str,
) -> list[KnownMatch]:
    """The candidates with what is told of them.

    `pictures`, by face_id, and `photos` are None where they weren't asked for.
    """
    matches = []
    for neighbour, score in candidates:
        match = KnownMatch(
            remark=neighbour.remark,
            face_id=neighbour.face_id,
            score=round(score, 4),
            similarity=round(neighbour.similarity, 4),
            matched=score >= threshold,
        )
        if pictures is not None:
            match = match.model_copy(update={"picture": pictures.get(neighbour.face_id, "")})
        if photos is not None:
            match = match.model_copy(update={"photo": photos(neighbour.face_id, gallery)})
        matches.append(match)
    return matches
