"""Addresses of faces' pictures that need no key: each is signed, and opens one picture.

Those in Qdrant's payloads, where its dashboard shows them as pictures, hold until FACE_PICTURE_KEY is changed: who
reads them there has the picture beside. Those in the answers of /v1 are for browsers that can't send a key, and hold
for some minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlencode

from service.errors import InvalidSettings
from service.settings import Settings

SIGNATURE, EXPIRES, GALLERY = "signature", "expires", "gallery"
"""The parameters of an address's query; the last two are those of one that expires."""

LIFETIME_S = 600
"""How long an address holds that expires, at least."""

_STEP_S = 60
"""Addresses of one picture are the same for so long, so that a browser that has it needn't ask again."""

# Nothing else that a key may sign one day begins so.
_PURPOSE = "face-service picture 1"
_PASSING_PURPOSE = "face-service passing picture 1"


class PassingAddress(NamedTuple):
    """An address that holds until a time, in seconds since 1970."""

    url: str
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAddresses:
    """`public_url` is where browsers reach the service. The first of `keys` signs, each of them is believed."""

    public_url: str
    keys: tuple[str, ...] = field(repr=False)
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, settings: Settings) -> PictureAddresses | None:
        """Those that the settings ask for; None where pictures have no such addresses. Raises InvalidSettings."""
        if settings.public_url is settings.picture_key is None:
            return None
        if settings.public_url is None or settings.picture_key is None:
            raise InvalidSettings(
                "FACE_PUBLIC_URL and FACE_PICTURE_KEY go together: one says where pictures are, the other signs their "
                "addresses; set both, or neither."
            )
        return cls(public_url=settings.public_url.rstrip("/"), keys=tuple(settings.picture_key.split(",")))

    def address(self, face_id: int) -> str:
        """The address of a face's picture; its path ends with `.jpg`, by which Qdrant's dashboard knows pictures."""
        return self._url(face_id, {SIGNATURE: _sign(self.keys[0], _lasting(face_id))})

    def is_signed(self, face_id: int, signature: str) -> bool:
        """Whether a signature of an address without end was made for this face, with a key that is in use."""
        return self._signed(_lasting(face_id), signature)

    def passing(self, face_id: int, *, gallery: str) -> PassingAddress:
        """The address of the picture of a face of a gallery, for LIFETIME_S and up to a minute more."""
        expires = (int(self.clock()) + LIFETIME_S + _STEP_S - 1) // _STEP_S * _STEP_S
        signature = _sign(self.keys[0], _passing(face_id, gallery, str(expires)))
        query = {GALLERY: gallery, EXPIRES: str(expires), SIGNATURE: signature}
        return PassingAddress(self._url(face_id, query), expires)

    def is_passing(self, face_id: int, signature: str, *, gallery: str, expires: str) -> bool:
        """Whether a signature was made for this face of this gallery and this end, which may be over."""
        return self._signed(_passing(face_id, gallery, expires), signature)

    def is_over(self, expires: str) -> bool:
        """Whether the end of an address, which must be one that was signed, is past."""
        return self.clock() >= int(expires)

    def _url(self, face_id: int, query: dict[str, str]) -> str:
        return f"{self.public_url}/v1/faces/{face_id}/picture.jpg?{urlencode(query)}"

    def _signed(self, text: str, signature: str) -> bool:
        presented = signature.encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(_sign(key, text).encode(), presented) for key in self.keys)


def _lasting(face_id: int) -> str:
    return f"{_PURPOSE}\n{face_id}"


def _passing(face_id: int, gallery: str, expires: str) -> str:
    return f"{_PASSING_PURPOSE}\n{face_id}\n{gallery}\n{expires}"


def _sign(key: str, text: str) -> str:
    """64 hexadecimal digits."""
    return hmac.new(key.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
