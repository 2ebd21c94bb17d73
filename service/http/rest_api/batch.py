"""Registering many photos with one request: an outcome each, and never more than a few of them in memory."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from aiohttp import web

from service import errors
from service.audit.events import Subject
from service.errors import FaceServiceError, Overloaded, StoreUnavailable, UnknownGallery
from service.gallery.gallery import Gallery
from service.gallery.registering import EnrolledFace
from service.http import routes
from service.http.audit import note
from service.http.callers import gallery_of
from service.http.forms import FormLimits
from service.http.keys import DEVICE_ID, REQUEST_ID, TIMINGS
from service.http.rest_api import examples
from service.http.rest_api.batch_form import MAX_PHOTOS, BatchForm, Sent
from service.http.rest_api.faces import registered
from service.http.rest_api.gallery_answers import BatchRegistration, RefusedPhoto, RegisteredPhoto
from service.http.rest_api.operations import Operation, Takes
from service.http.rest_api.problems import described
from service.http.rest_api.queries import BatchQuery
from service.http.uploads import Buffer
from service.retry import Backoff, retry

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Photos of a request that are in memory, and whose faces are looked for, at once."""

BUSY_LIMIT_S = 60.0
"""How long a photo waits while the service has too much to do."""

BUSY_BACKOFF = Backoff(first_s=0.05, longest_s=1.0)

PhotoOutcome = RegisteredPhoto | RefusedPhoto


async def register_batch(request: web.Request, query: BatchQuery, limits: FormLimits) -> BatchRegistration:
    """Remember the faces of each photo under its remark."""
    gallery = await gallery_of(request, query.gallery)
    form = await BatchForm.begin(request, limits)
    slots = asyncio.Semaphore(AT_ONCE)
    tasks: list[asyncio.Task[PhotoOutcome]] = []
    try:
        while True:
            await slots.acquire()  # before the next photo is read, for it takes memory
            for task in tasks:
                if task.done():
                    task.result()  # of a store that is away, no other photo needs to hear
            sent = await form.next()
            if sent is None:
                return BatchRegistration(outcomes=list(await asyncio.gather(*tasks)))
            task = asyncio.create_task(_outcome(request, query, gallery, sent))
            task.add_done_callback(partial(_let_go, slots, form.photo_bytes))
            tasks.append(task)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    finally:  # what was begun is finished, also where the request fails as a whole
        await asyncio.gather(*tasks, return_exceptions=True)


def _let_go(slots: asyncio.Semaphore, photo_bytes: Buffer, _: object) -> None:
    """A photo of the request is done."""
    photo_bytes.release()
    slots.release()


async def _outcome(request: web.Request, query: BatchQuery, gallery: Gallery, sent: Sent) -> PhotoOutcome:
    """What becomes of one photo. Raises StoreUnavailable or UnknownGallery, which are about all of them."""
    try:
        enrolled = await _enroll(request, query, gallery, sent)
    except (StoreUnavailable, UnknownGallery, ConnectionError):  # of the last, the client has left
        raise
    except Exception as error:  # one photo's failure is not that of the others
        if not isinstance(error, FaceServiceError):
            log.error("Unforeseen error.", exc_info=error, extra={"request_id": request[REQUEST_ID]})
        problem = described(error, request)
        return RefusedPhoto(status=problem.status, problem=problem)
    note(request, *(Subject(remark=each.face.remark, face_id=each.face.face_id) for each in enrolled))
    return RegisteredPhoto(status=201, faces=[registered(each) for each in enrolled])


async def _enroll(request: web.Request, query: BatchQuery, gallery: Gallery, sent: Sent) -> list[EnrolledFace]:
    """A photo that meets a busy service waits: others of its request need not be sent again because of it."""
    if isinstance(sent, FaceServiceError):
        raise sent
    return await retry(
        partial(
            gallery.enroll_faces,
            sent.photo,
            sent.remark,
            request[TIMINGS],
            faces=query.faces,
            quality=query.quality,
            metadata=sent.metadata,
            expires_at=sent.expires_at,
            device_id=request.get(DEVICE_ID),
        ),
        BUSY_BACKOFF,
        transient=lambda error: isinstance(error, Overloaded),
        limit_s=BUSY_LIMIT_S,
    )


BATCH_OPERATIONS = (
    Operation(
        name="registerBatch",
        needs="register",
        tag="faces",
        method="POST",
        path=routes.FACES_BATCH,
        summary=f"Register the faces of up to {MAX_PHOTOS} photos.",
        description="Each photo is a part `image` of a form. What is kept beside its faces stands in parts before it: "
        "a `remark` holds for all photos behind it until another one comes, `metadata` and `expires_at` for the next "
        "photo only. Each photo has an outcome, in the order of the photos, and a photo that is refused stops no other "
        "one. Where the request fails as a whole, some photos may be registered; it may be repeated.",
        query=BatchQuery,
        handle=register_batch,
        takes=Takes.BATCH,
        answer=BatchRegistration,
        raises=(errors.UnsupportedBody, errors.ImageTooLarge, errors.UnknownGallery),
        example=examples.BATCH,
    ),
)
