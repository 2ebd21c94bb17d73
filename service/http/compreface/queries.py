"""The parameters of CompreFace's API, in queries and paths; those that it doesn't have are passed over, as it does."""

from __future__ import annotations

import re
import uuid
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.errors import UnknownFace
from service.http.compreface.failures import (
    CONSTRAINT,
    MISSING_PARAMETER,
    WRONG_ARGUMENT,
    WRONG_PREDICTION_COUNT,
    refused,
)
from service.http.query import require_utf8
from service.http.rest_api.fields import NUMBER, WHOLE_NUMBER, Model, read_fields, spelled
from service.values import MAX_FACE_ID, MAX_REMARK

MAX_PREDICTIONS = 64
"""Subjects that a face is told to resemble, however many are asked for."""
MAX_PAGE_SIZE = 2000
"""Examples of a page, however many are asked for; CompreFace has the same limit."""
_MAX_NUMBER = 10**15

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_Count = Annotated[int, Field(ge=0, le=_MAX_NUMBER), spelled(WHOLE_NUMBER)]
_Switch = Annotated[bool, BeforeValidator(lambda text: text.strip() if isinstance(text, str) else text)]


class _Query(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class FacesQuery(_Query):
    """Which of a photo's faces are told of, and what.

    `limit` is how many, the largest first, 0 all; `det_prob_threshold` the detector's least certainty, 0 to 1.
    """

    limit: _Count = 0
    det_prob_threshold: Annotated[float, Field(ge=0, le=1), spelled(NUMBER)] = 0.0
    face_plugins: str = ""
    status: _Switch = False

    def wants(self, plugin: str) -> bool:
        """Whether this plugin's part of the answer is asked for."""
        return plugin in {each.strip() for each in self.face_plugins.split(",")}


class RecognizeQuery(FacesQuery):
    """Beside that, how many subjects each face is told to resemble; -1 is as many as may be."""

    prediction_count: Annotated[int, Field(ge=-1, le=_MAX_NUMBER), spelled(re.compile("-1|[0-9]{1,20}"))] = 1


class PageQuery(_Query):
    """Which page of the examples; the first is 0."""

    page: _Count = 0
    size: _Count = 20


def read(request: web.Request, model: type[Model]) -> Model:
    """The query's parameters; one that is empty isn't there. Raises InvalidRequest for one that can't be used."""
    require_utf8(request)
    return read_fields({name: text for name, text in request.query.items() if text != ""}, model, "parameter")


def read_recognition(request: web.Request) -> tuple[RecognizeQuery, int]:
    """The query of a recognition, and how many subjects a face may have. Raises InvalidRequest."""
    query = read(request, RecognizeQuery)
    if query.prediction_count == 0:
        raise refused(request, WRONG_PREDICTION_COUNT, "prediction_count must be 1 or more, or -1 for all.")
    count = query.prediction_count if query.prediction_count > 0 else MAX_PREDICTIONS
    return query, min(count, MAX_PREDICTIONS)


def read_subject(request: web.Request) -> str | None:
    """The query's subject, None where there is none. Raises InvalidRequest for one that is blank or too long."""
    require_utf8(request)
    if "subject" not in request.query:
        return None
    return usable_subject(request, request.query["subject"])


def require_subject(request: web.Request) -> str:
    """The query's subject. Raises InvalidRequest where there is none, too."""
    subject = read_subject(request)
    if subject is None:
        raise refused(request, MISSING_PARAMETER, "There is no subject; send it in the query (`?subject=…`).")
    return subject


def usable_subject(request: web.Request, subject: str) -> str:
    """The subject, unchanged. Raises InvalidRequest where it can't be one."""
    if not subject.strip() or len(subject) > MAX_REMARK:
        raise refused(request, CONSTRAINT, f"The subject must have from 1 to {MAX_REMARK} characters, not all blank.")
    try:
        subject.encode()
    except UnicodeEncodeError:
        raise refused(request, CONSTRAINT, "The subject has half of a surrogate pair; send whole characters.") from None
    return subject


def image_id(face_id: int) -> str:
    """A face's number as a UUID, which is what CompreFace's clients expect: its last digits are the number in hex."""
    return str(uuid.UUID(int=face_id))


def read_image_id(request: web.Request) -> int:
    """The face_id that the path means. Raises InvalidRequest where it is no UUID, UnknownFace for none of ours."""
    return face_id_of(request, request.match_info["image_id"])


def face_id_of(request: web.Request, text: str) -> int:
    """The face_id of an image_id; raises what read_image_id raises."""
    if not _UUID.fullmatch(text):
        raise refused(request, WRONG_ARGUMENT, "The image_id must be a UUID, as the list of examples has it.")
    number = int(text.replace("-", ""), 16)
    if not 1 <= number <= MAX_FACE_ID:
        raise UnknownFace("There is no example of this image_id; list the examples to see which there are.")
    return number
