"""What stands in the paths of /v1: faces' numbers, people's remarks and galleries' names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web

from service.errors import InvalidRequest
from service.http.rest_api.fields import GALLERY_PATTERN, WHOLE_NUMBER
from service.values import MAX_FACE_ID, MAX_REMARK

PATH_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "face_id": {"type": "integer", "minimum": 1, "maximum": MAX_FACE_ID},
    "remark": {"type": "string", "minLength": 1, "maxLength": MAX_REMARK},
    "gallery": {"type": "string", "pattern": GALLERY_PATTERN},
}
"""By the name in braces: what may stand there."""


def resource_path(path: str) -> str:
    """The path as aiohttp is told it: a remark may have braces, which a name of aiohttp's own kind may not."""
    return path.replace("{remark}", "{remark:[^/]+}")


def read_face_id(request: web.Request) -> int:
    """The face_id in the path. Raises InvalidRequest for anything else there."""
    text = request.match_info["face_id"]
    if text.isascii() and WHOLE_NUMBER.fullmatch(text) and 1 <= int(text) <= MAX_FACE_ID:
        return int(text)
    raise InvalidRequest(f"The face_id must be a whole number from 1 to {MAX_FACE_ID}.")


def read_remark(request: web.Request) -> str:
    """The remark that is the last part of the path. Raises InvalidRequest where it is none.

    It is read from the path as it came: aiohttp leaves what isn't UTF-8 as it is, so that `%FF` would be `%25FF` too.
    """
    try:
        remark = unquote_to_bytes(request.rel_url.raw_path.rpartition("/")[2]).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The remark in the path is not UTF-8; percent-encode its UTF-8 bytes.") from None
    if not 1 <= len(remark) <= MAX_REMARK:
        raise InvalidRequest(f"The remark in the path must have from 1 to {MAX_REMARK} characters.")
    return remark


def read_gallery_name(request: web.Request) -> str:
    """The gallery's name in the path. Raises InvalidRequest where it can't be one."""
    name = request.match_info["gallery"]
    if re.fullmatch(GALLERY_PATTERN.removesuffix("$"), name):
        return name
    raise InvalidRequest(
        "A gallery's name has up to 64 small letters a to z, digits, `-` and `_`, and begins with a letter or a digit."
    )
