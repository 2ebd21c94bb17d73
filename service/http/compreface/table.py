"""Every operation of CompreFace's API, and the routes of those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from service.devices.operations import OperationWord
from service.http.compreface.faces import FACE_OPERATIONS
from service.http.compreface.operations import Operation
from service.http.compreface.photos import PHOTO_OPERATIONS
from service.http.compreface.subjects import SUBJECT_OPERATIONS
from service.http.forms import FormLimits

OPERATIONS: Sequence[Operation] = (*PHOTO_OPERATIONS, *FACE_OPERATIONS, *SUBJECT_OPERATIONS)

NEEDS: Mapping[tuple[str, str], OperationWord] = {(each.method, each.path): each.needs for each in OPERATIONS}
"""By method and path: what the caller must be allowed to do. What isn't here nobody may do."""


def compreface_routes(limits: FormLimits) -> list[web.RouteDef]:
    """Each method and path with its handler."""
    return [each.route(limits) for each in OPERATIONS]
