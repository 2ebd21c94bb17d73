"""The one table of paths: which operation each stands for, and which are open to everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from service.devices.operations import DeviceOperation
from service.http.keys import COMPREFACE

UNKNOWN = "unknown"
"""The route of a request that has none."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a path is for.

    `operation` is what a device must be allowed to do; None is a path that machines which can't sign ask every few
    seconds, open to everybody. `with_face_id` is the operation where the query has a face_id, if it is another one.
    """

    operation: DeviceOperation | None
    with_face_id: DeviceOperation | None = None
    has_photo: bool = False


REGISTER = "/registration_face"
RECOGNISE = "/recognition_face"
LIST = "/get_registration_face"
DELETE = "/delete_registration_face"
ALIVE, READY, METRICS = "/healthz", "/readyz", "/metrics"

ROUTES: Mapping[str, Route] = {
    REGISTER: Route("register", has_photo=True),
    RECOGNISE: Route("recognise", has_photo=True),
    LIST: Route("list", with_face_id="delete"),
    DELETE: Route("delete"),
    ALIVE: Route(None),
    READY: Route(None),
    METRICS: Route(None),
}
"""A path that is neither here nor below /v1 is nobody's, and isn't open either."""

CONSOLE, CONSOLE_FILE = "/", "/console/{file:.+}"
CONSOLE_PATHS = frozenset({CONSOLE, "/console/{file}"})
"""The console's page and its files, as the router names them: open, since they hold nothing but the program."""

V1 = "/v1"
MODEL, STATS = f"{V1}/model", f"{V1}/stats"
STATUS, DEVICES = f"{V1}/status", f"{V1}/devices"
DETECT, EMBED, IDENTIFY, VERIFY = f"{V1}/detect", f"{V1}/embed", f"{V1}/identify", f"{V1}/verify"
IDENTIFY_EMBEDDING = f"{IDENTIFY}/embedding"
FACES = f"{V1}/faces"
FACES_BATCH = f"{FACES}:batch"
FACE = f"{FACES}/{{face_id}}"
PICTURE = f"{FACE}/picture"
SIGNED_PICTURE = f"{PICTURE}.jpg"
"""With FACE_PICTURE_KEY only; who has such an address needs nothing else (signed_pictures.py)."""
PEOPLE, GALLERIES = f"{V1}/people", f"{V1}/galleries"
PERSON, GALLERY = f"{PEOPLE}/{{remark}}", f"{GALLERIES}/{{gallery}}"
EXPORT, IMPORT, EVENTS = f"{V1}/export", f"{V1}/import", f"{V1}/events"
OPENAPI, DOCS, DOCS_STYLE = "/openapi.json", "/docs", "/docs/style.css"

REST_PATHS = frozenset(
    {
        *(MODEL, STATS, STATUS, DEVICES, DETECT, EMBED, IDENTIFY, IDENTIFY_EMBEDDING, VERIFY, FACES, FACE, PICTURE),
        *(FACES_BATCH, EXPORT, IMPORT, EVENTS, PEOPLE, PERSON, GALLERIES, GALLERY, OPENAPI, DOCS, DOCS_STYLE),
    }
)
"""Those of the /v1 API and of its documents; rest_api/table.py says which operation each of them is."""

DOCUMENT_PATHS = frozenset({OPENAPI, DOCS, DOCS_STYLE})
"""Open to everybody: the same in every service of this version, they say nothing about this one."""

API_KEY = "x-api-key"
"""The header in which CompreFace's clients bring their key."""
_COMPREFACE = "/api/v1"
COMPREFACE_RECOGNIZE = f"{_COMPREFACE}/recognition/recognize"
COMPREFACE_FACES = f"{_COMPREFACE}/recognition/faces"
COMPREFACE_DELETION = f"{COMPREFACE_FACES}/delete"
COMPREFACE_FACE = f"{COMPREFACE_FACES}/{{image_id}}"
COMPREFACE_IMAGE, COMPREFACE_FACE_VERIFY = f"{COMPREFACE_FACE}/img", f"{COMPREFACE_FACE}/verify"
COMPREFACE_STATIC_IMAGE = f"{_COMPREFACE}/static/{{api_key}}/images/{{image_id}}"
COMPREFACE_SUBJECTS = f"{_COMPREFACE}/recognition/subjects"
COMPREFACE_SUBJECT = f"{COMPREFACE_SUBJECTS}/{{remark}}"
COMPREFACE_DETECT, COMPREFACE_VERIFY = f"{_COMPREFACE}/detection/detect", f"{_COMPREFACE}/verification/verify"

COMPREFACE_PATHS = frozenset(
    {
        *(COMPREFACE_RECOGNIZE, COMPREFACE_FACES, COMPREFACE_DELETION, COMPREFACE_FACE, COMPREFACE_IMAGE),
        *(COMPREFACE_FACE_VERIFY, COMPREFACE_STATIC_IMAGE, COMPREFACE_SUBJECTS, COMPREFACE_SUBJECT),
        *(COMPREFACE_DETECT, COMPREFACE_VERIFY),
    }
)
"""Those of CompreFace's API, where FACE_COMPREFACE is on; compreface/table.py says which operation each of them is."""

OPEN_PATHS = frozenset(path for path, route in ROUTES.items() if route.operation is None)
"""Alive, ready, and counts and times that name no face, device or remark."""


def path_of(request: web.Request) -> str:
    """The path as it was registered, so that nobody can fill the log or the metrics with paths of their own."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNKNOWN


def is_rest(request: web.Request) -> bool:
    """Whether the request is for the /v1 API, where there are such a path and method or not."""
    return is_rest_path(request.path)


def is_rest_path(path: str) -> bool:
    """Likewise by the path alone."""
    return path in REST_PATHS or path == V1 or path.startswith(f"{V1}/")


def is_compreface(request: web.Request) -> bool:
    """Whether the request is for CompreFace's API, which must be on, where there are such a path and method or not."""
    return request.app.get(COMPREFACE, False) and is_compreface_path(request.path)


def is_compreface_path(path: str) -> bool:
    """Whether a path would be of CompreFace's API, if that is on."""
    return path == _COMPREFACE or path.startswith(f"{_COMPREFACE}/")


def is_open(request: web.Request) -> bool:
    """Whether everybody may send the request, whoever they are."""
    return path_of(request) in OPEN_PATHS | DOCUMENT_PATHS | CONSOLE_PATHS | {SIGNED_PICTURE}


def operation(request: web.Request) -> DeviceOperation | None:
    """Which of the four operations a request asks for; None where it asks for none."""
    route = ROUTES.get(path_of(request))
    if route is None:
        return None
    return route.with_face_id or route.operation if "face_id" in request.query else route.operation


def has_photo(request: web.Request) -> bool:
    """Whether the request brings a photo in a form."""
    route = ROUTES.get(path_of(request))
    return route is not None and route.has_photo
