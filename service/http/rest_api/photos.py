"""Photos that are asked about and not remembered: detect, embed, identify and verify."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from aiohttp import web

from service import errors
from service.audit.events import Subject
from service.errors import InvalidRequest
from service.gallery.photos import PhotoReader, Terms
from service.http import routes
from service.http.audit import note
from service.http.callers import gallery_of
from service.http.current import opened_for
from service.http.forms import FormLimits
from service.http.keys import TIMINGS
from service.http.rest_api import answers, examples
from service.http.rest_api.answers import Box, MatchedFace, SeenFace
from service.http.rest_api.bodies import read_body, read_photo, read_photos
from service.http.rest_api.json_bodies import EmbeddingBody
from service.http.rest_api.matches import known_matches, note_best, pictures_of
from service.http.rest_api.operations import Operation, Takes
from service.http.rest_api.passing_photos import photos_for
from service.http.rest_api.queries import IdentifyQuery, NoQuery, SearchQuery, SearchTerms, VerifyQuery
from service.values import Detection, Quality

PHOTO_ERRORS = (
    *(errors.InvalidImage, errors.ImageTooLarge, errors.UnsupportedFormat, errors.UnsupportedBody),
    errors.Overloaded,
)
"""What every operation may say that takes a photo."""


async def detect(request: web.Request, _query: NoQuery, limits: FormLimits) -> answers.PhotoFaces:
    """Where a photo has faces, and how good they are."""
    reader = opened_for(request).photo_reader
    prepared = await reader.detect(await read_photo(request, limits), request[TIMINGS])
    width, height = prepared.size
    faces = [
        _seen(detection, quality, reader)
        for detection, quality in zip(prepared.detections, prepared.qualities, strict=True)
    ]
    return answers.PhotoFaces(width=width, height=height, rotation=prepared.rotation, faces=faces)


async def embed(request: web.Request, _query: NoQuery, limits: FormLimits) -> answers.PhotoEmbeddings:
    """The faces of a photo with their embeddings."""
    reader = opened_for(request).photo_reader
    observation = await reader.embed(await read_photo(request, limits), request[TIMINGS])
    width, height = observation.size
    faces = [
        answers.EmbeddedFace(
            **dict(_seen(face.detection, face.quality, reader)), embedding=[float(each) for each in face.embedding]
        )
        for face in observation.faces
    ]
    return answers.PhotoEmbeddings(
        model=reader.contract.model, width=width, height=height, rotation=observation.rotation, faces=faces
    )


async def identify(request: web.Request, query: IdentifyQuery, limits: FormLimits) -> answers.Identification:
    """Who the faces of a photo may be."""
    reader, terms = opened_for(request).photo_reader, await _terms(request, query)
    photos = photos_for(request, query.include)
    found = await reader.identify(await read_photo(request, limits), terms, request[TIMINGS])
    pictures = await pictures_of(
        reader, query.include, terms, [each for face in found.faces for each in face.candidates]
    )
    faces = []
    for each in found.faces:
        matches = known_matches(each.candidates, found.threshold, pictures, photos, gallery=terms.gallery)
        note_best(request, matches)
        seen = dict(_seen(each.face.detection, each.face.quality, reader))
        faces.append(MatchedFace(**seen, matched=any(match.matched for match in matches), matches=matches))
    told = answers.Identification(
        model=reader.contract.model, threshold=round(found.threshold, 4), gallery=terms.gallery, faces=faces
    )
    (width, height), rotation = found.observation.size, found.observation.rotation
    size = {"width": width, "height": height, "rotation": rotation} if "size" in (query.include or "") else {}
    return told.model_copy(update=size)


async def identify_embedding(
    request: web.Request, query: SearchQuery, limits: FormLimits
) -> answers.EmbeddingIdentification:
    """Whose face an embedding may be."""
    reader, terms = opened_for(request).photo_reader, await _terms(request, query)
    photos = photos_for(request, query.include)
    numbers = np.array((await read_body(request, limits, EmbeddingBody)).embedding)
    length = float(np.linalg.norm(numbers))
    embedding = (numbers / length if length else numbers).astype(np.float32)
    threshold, candidates = await reader.identify_embedding(embedding, terms)
    pictures = await pictures_of(reader, query.include, terms, candidates)
    matches = known_matches(candidates, threshold, pictures, photos, gallery=terms.gallery)
    note_best(request, matches)
    return answers.EmbeddingIdentification(
        model=reader.contract.model,
        threshold=round(threshold, 4),
        gallery=terms.gallery,
        matched=any(match.matched for match in matches),
        matches=matches,
    )


async def verify(request: web.Request, query: VerifyQuery, limits: FormLimits) -> answers.Verification:
    """Whether a photo is about the person of another photo, of a remark or of a registered face."""
    reader, timings = opened_for(request).photo_reader, request[TIMINGS]
    gallery = (await gallery_of(request, query.gallery)).name
    photo, other = await read_photos(request, limits)
    if (other is not None) + (query.remark is not None) + (query.face_id is not None) != 1:
        raise InvalidRequest("Send one thing to compare the photo with: `other_image`, `remark` or `face_id`.")
    if other is not None:
        found = await reader.verify_photo(photo, other, query.threshold, timings)
    elif query.remark is not None:
        found = await reader.verify_remark(photo, query.remark, query.threshold, timings, gallery=gallery)
    else:
        assert query.face_id is not None  # noqa: S101 - one of the three is there
        found = await reader.verify_face(photo, query.face_id, query.threshold, timings, gallery=gallery)
    similarity, same = round(found.similarity, 4), found.similarity >= found.threshold
    if same and other is None:
        note(request, Subject(remark=query.remark, face_id=query.face_id, score=similarity))
    return answers.Verification(score=similarity, similarity=similarity, threshold=found.threshold, same=same)


PHOTO_OPERATIONS = (
    Operation(
        name="detect",
        needs="recognise",
        tag="photos",
        method="POST",
        path=routes.DETECT,
        summary="Find every face of a photo.",
        query=NoQuery,
        handle=detect,
        takes=Takes.PHOTO,
        answer=answers.PhotoFaces,
        raises=PHOTO_ERRORS,
        example=examples.PHOTO_FACES,
    ),
    Operation(
        name="embed",
        needs="recognise",
        tag="photos",
        method="POST",
        path=routes.EMBED,
        summary="Give the embedding of every face of a photo.",
        query=NoQuery,
        handle=embed,
        takes=Takes.PHOTO,
        answer=answers.PhotoEmbeddings,
        raises=PHOTO_ERRORS,
        example=examples.PHOTO_EMBEDDINGS,
    ),
    Operation(
        name="identify",
        needs="recognise",
        tag="photos",
        method="POST",
        path=routes.IDENTIFY,
        summary="Say who every face of a photo may be.",
        description="Each face has the registered people that are most like it, the best first, whatever their scores; "
        "`matched` tells whether a score reaches the threshold. A face that is too poor to tell has none.",
        query=IdentifyQuery,
        handle=identify,
        takes=Takes.PHOTO,
        answer=answers.Identification,
        raises=(*PHOTO_ERRORS, errors.UnknownGallery),
        example=examples.IDENTIFICATION,
    ),
    Operation(
        name="identifyEmbedding",
        needs="recognise",
        tag="photos",
        method="POST",
        path=routes.IDENTIFY_EMBEDDING,
        summary="Say whose face an embedding may be.",
        query=SearchQuery,
        handle=identify_embedding,
        takes=EmbeddingBody,
        answer=answers.EmbeddingIdentification,
        raises=(errors.UnsupportedBody, errors.UnknownGallery),
        example=examples.EMBEDDING_IDENTIFICATION,
    ),
    Operation(
        name="verify",
        needs="recognise",
        tag="photos",
        method="POST",
        path=routes.VERIFY,
        summary="Say whether two faces are one person's.",
        description="A photo is compared with another photo (`other_image` in a form or in JSON), with a `remark` or "
        "with a `face_id`. Of several faces in a photo, the one counts that the service's settings mean.",
        query=VerifyQuery,
        handle=verify,
        takes=Takes.PHOTOS,
        answer=answers.Verification,
        raises=(
            *(*PHOTO_ERRORS, errors.FaceNotFound, errors.PoorQuality),
            *(errors.UnknownFace, errors.UnknownPerson, errors.UnknownGallery),
        ),
        example=examples.VERIFICATION,
    ),
)


def quality_of(quality: Quality, problem: str | None) -> answers.Quality:
    """As /v1 tells it; the detector's certainty stands beside it."""
    measured = {name: value for name, value in asdict(quality).items() if name != "detection_score"}
    return answers.Quality(**measured, problem=problem)


def _seen(detection: Detection, quality: Quality, reader: PhotoReader) -> SeenFace:
    return SeenFace(
        box=Box(**detection.box._asdict()),
        landmarks=list(detection.landmarks),
        detection_score=detection.score,
        quality=quality_of(quality, reader.problem(quality)),
    )


async def _terms(request: web.Request, query: SearchTerms) -> Terms:
    return Terms(
        gallery=(await gallery_of(request, query.gallery)).name,
        limit=query.limit,
        group_by_remark=query.group == "remark",
        threshold=query.threshold,
        fpir=query.fpir,
    )
