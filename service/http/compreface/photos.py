"""Photos that are asked about: recognised, verified, or searched for faces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from aiohttp import web

from service.errors import FaceNotFound, MultipleFaces
from service.gallery.photos import PhotoReader, Terms, cosine
from service.gallery.thresholds import NO_THRESHOLD
from service.http import routes
from service.http.callers import gallery_of
from service.http.compreface import answers
from service.http.compreface.bodies import read_photo, read_source_and_target
from service.http.compreface.operations import Operation
from service.http.compreface.queries import FacesQuery, read, read_image_id, read_recognition
from service.http.current import opened_for
from service.http.forms import FormLimits
from service.http.keys import TIMINGS
from service.values import Detection, Embedding, Face
from service.vision.engine import Observation

Found = TypeVar("Found")

UNMEASURED_SCORE, UNMEASURED_COSINE = 0.5, 0.7
"""What is taken for the thresholds of a model that nobody measured: near those of the measured ones."""


async def recognize(request: web.Request, limits: FormLimits) -> dict[str, Any]:
    """Who the faces of a photo are most like, whatever the similarity: it is the client that decides."""
    query, count = read_recognition(request)
    reader, timings = opened_for(request).photo_reader, request[TIMINGS]
    terms = Terms(gallery=(await gallery_of(request)).name, limit=count, group_by_remark=True)
    found = await reader.identify(await read_photo(request, limits), terms, timings)
    clear = [each for each in found.faces if reader.problem(each.face.quality) is None]
    threshold = _threshold(found.threshold, request)
    result = []
    for each in _chosen(clear, query, lambda identified: identified.face.detection):
        subjects = [
            {"subject": neighbour.remark, "similarity": answers.similarity(score, threshold)}
            for neighbour, score in each.candidates
        ]
        result.append({**_told(each.face, query, found.observation, request), "subjects": subjects})
    return {"result": result, **answers.plugins_versions(query, reader.contract.model)}


async def verify_example(request: web.Request, limits: FormLimits) -> dict[str, Any]:
    """How similar the faces of a photo are to a registered one."""
    query, face_id = read(request, FacesQuery), read_image_id(request)
    reader = opened_for(request).photo_reader
    gallery = await gallery_of(request)
    example = await gallery.face(face_id)
    seen = await reader.embed(await read_photo(request, limits), request[TIMINGS])
    known = await reader.known_embedding(face_id, gallery=gallery.name)
    result = [{**each, "subject": example.remark} for each in _compared(seen, known, query, request)]
    return {"result": result, **answers.plugins_versions(query, reader.contract.model)}


async def verify(request: web.Request, limits: FormLimits) -> dict[str, Any]:
    """How similar the faces of one photo are to the only face of another."""
    query, reader, timings = read(request, FacesQuery), opened_for(request).photo_reader, request[TIMINGS]
    source_photo, target_photo = await read_source_and_target(request, limits)
    source, target = await asyncio.gather(reader.embed(source_photo, timings), reader.embed(target_photo, timings))
    faces = _chosen(_clear(source, reader), query.model_copy(update={"limit": 0}), lambda face: face.detection)
    if len(faces) > 1:
        raise MultipleFaces(f"The source_image shows {len(faces)} faces; send one with a single face.")
    told = {
        "source_image_face": _told(faces[0], query, source, request),
        "face_matches": _compared(target, faces[0].embedding, query, request),
    }
    return {"result": [{**told, **answers.plugins_versions(query, reader.contract.model)}]}


async def detect(request: web.Request, limits: FormLimits) -> dict[str, Any]:
    """Where a photo has faces, those that are too poor to be recognised among them."""
    query, reader, timings = read(request, FacesQuery), opened_for(request).photo_reader, request[TIMINGS]
    photo = await read_photo(request, limits)
    if query.wants("calculator"):
        seen = await reader.embed(photo, timings)
        faces = _chosen(seen.faces, query, lambda face: face.detection)
        result = [_told(each, query, seen, request) for each in faces]
    else:
        prepared = await reader.detect(photo, timings)
        detections = _chosen(prepared.detections, query, lambda detection: detection)
        result = [answers.face(each, None, query, prepared.size, timings) for each in detections]
    return {"result": result, **answers.plugins_versions(query, reader.contract.model)}


PHOTO_OPERATIONS = (
    Operation(needs="recognise", method="POST", path=routes.COMPREFACE_RECOGNIZE, handle=recognize),
    Operation(needs="recognise", method="POST", path=routes.COMPREFACE_FACE_VERIFY, handle=verify_example),
    Operation(needs="recognise", method="POST", path=routes.COMPREFACE_VERIFY, handle=verify),
    Operation(needs="recognise", method="POST", path=routes.COMPREFACE_DETECT, handle=detect),
)


def _chosen(faces: Iterable[Found], query: FacesQuery, detection: Callable[[Found], Detection]) -> list[Found]:
    """Those that the query asks for, of faces that come the largest first. Raises FaceNotFound where there is none."""
    sure = [each for each in faces if detection(each).score >= query.det_prob_threshold]
    if not sure:
        raise FaceNotFound("No face is clear enough in the photo; send one where a face is large, sharp and well lit.")
    return sure[: query.limit] if query.limit else sure


def _threshold(known: float, request: web.Request) -> float:
    """The score that stands for a match: the known one, or one that is near where there is none."""
    if known != NO_THRESHOLD:
        return known
    return UNMEASURED_COSINE if opened_for(request).galleries.rules.score == "cosine" else UNMEASURED_SCORE


def _clear(seen: Observation, reader: PhotoReader) -> list[Face]:
    """The faces that are good enough to tell whose they are: a poor one resembles many."""
    return [each for each in seen.faces if reader.problem(each.quality) is None]


def _compared(seen: Observation, known: Embedding, query: FacesQuery, request: web.Request) -> list[dict[str, Any]]:
    """The faces of a photo, the largest first, each with its similarity to a known face."""
    reader = opened_for(request).photo_reader
    threshold = reader.verification_threshold or UNMEASURED_COSINE
    return [
        {
            **_told(each, query, seen, request),
            "similarity": answers.similarity(cosine(each.embedding, known), threshold),
        }
        for each in _chosen(_clear(seen, reader), query, lambda face: face.detection)
    ]


def _told(face: Face, query: FacesQuery, seen: Observation, request: web.Request) -> dict[str, Any]:
    return answers.face(face.detection, face.embedding, query, seen.size, request[TIMINGS])
