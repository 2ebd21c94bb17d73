"""The requests that register many photos with a running service, and what its answers to them mean."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from indexer.importing.credentials import Credentials, no_credentials
from indexer.importing.failures import CannotGoOn, Refused
from indexer.importing.outcomes import Outcome
from indexer.importing.pipeline import Written
from service.errors import StoreUnavailable

REGISTER_BATCH = "/v1/faces:batch"

_SOON = {
    *(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR),
    *(HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT),
}
"""Statuses of a service, or of a proxy before it, that may be another soon."""
_NO_SUCH_PATH_CODES = ("uri_not_found", 1000)
"""Of /v1, and of services that are older than /v1."""


class TooMuch(Exception):
    """The service took none of these photos, but may take some of them."""


class Busy(Exception):
    """The service had too much to do for this photo."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A photo's bytes, and the remark that its faces get, in UTF-8."""

    content: bytes
    remark: bytes


PhotoOutcome = tuple[Written, ...] | Refused | Busy
"""What became of a photo's faces, or why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequests:
    """Registers photos with the service at `url`, in a gallery of its own choice or (None) the caller's."""

    session: aiohttp.ClientSession
    url: str
    gallery: str | None = None
    credentials: Credentials = no_credentials

    async def register(self, photos: Sequence[Sending]) -> list[PhotoOutcome]:
        """What became of each photo, in their order.

        Raises StoreUnavailable for what may soon pass, CannotGoOn where no photo will ever be taken, and TooMuch.
        """
        target = REGISTER_BATCH + (f"?{urlencode({'gallery': self.gallery})}" if self.gallery is not None else "")
        boundary = secrets.token_hex(16)
        body = _form(photos, boundary.encode())
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            **self.credentials("POST", target, body),
        }
        try:
            url = URL(self.url + target, encoded=True)
            async with self.session.post(url, data=io.BytesIO(body), headers=headers) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            raise StoreUnavailable(f"The service at {self.url} gave no answer ({error}).") from None
        except (aiohttp.ClientError, ValueError):
            raise self._no_service() from None
        try:
            answer = json.loads(content)
            if status == HTTPStatus.OK and "outcomes" in answer:
                return [_outcome(each) for each, _ in zip(answer["outcomes"], photos, strict=True)]
            code, detail = answer["code"], str(answer["detail"])
        except (ValueError, KeyError, TypeError):
            code, detail = "", f"HTTP status {status}"
        raise self._failure(status, code, detail)

    def _failure(self, status: int, code: object, detail: str) -> Exception:
        """What a request that failed as a whole means for the import."""
        if status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.BAD_REQUEST):
            return TooMuch(detail)
        if status in _SOON:
            return StoreUnavailable(f"The service at {self.url} can't take photos now: {detail}")
        if code in _NO_SUCH_PATH_CODES:
            return CannotGoOn(
                f"The service at {self.url} is of an older version without POST {REGISTER_BATCH}; update it, or import "
                "with the face-indexer of its version."
            )
        if code:
            return CannotGoOn(f"The service at {self.url} does not let this import in: {detail}")
        return self._no_service()

    def _no_service(self) -> CannotGoOn:
        return CannotGoOn(f"What answers at {self.url} is no face service; correct --service.")


def _outcome(told: Any) -> PhotoOutcome:
    if told["status"] == HTTPStatus.CREATED:
        written = tuple(
            (Outcome.REGISTERED if face["new"] else Outcome.KNOWN, int(face["face_id"])) for face in told["faces"]
        )
        return written or ((Outcome.REGISTERED, None),)  # somebody removed it at once
    detail = str(told["problem"]["detail"])
    return Busy(detail) if told["status"] == HTTPStatus.SERVICE_UNAVAILABLE else Refused(detail)


def _form(photos: Sequence[Sending], boundary: bytes) -> bytes:
    """Each photo behind its remark; a random boundary is in no photo."""
    parts: list[bytes] = []
    for photo in photos:
        parts += [b'--%b\r\nContent-Disposition: form-data; name="remark"\r\n\r\n' % boundary, photo.remark]
        parts += [
            b'\r\n--%b\r\nContent-Disposition: form-data; name="image"; filename="photo"\r\n' % boundary,
            b"Content-Type: application/octet-stream\r\n\r\n",
            photo.content,
            b"\r\n",
        ]
    return b"".join([*parts, b"--%b--\r\n" % boundary])
