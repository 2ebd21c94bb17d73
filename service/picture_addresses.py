"""Addresses of faces' pictures that need no key: each is signed, opens one picture, and holds until the key is changed.

They stand in Qdrant's payloads, where its dashboard shows them as pictures. So they can't expire. They tell nothing to
who reads them there, for the picture itself is kept beside; and a change of FACE_PICTURE_KEY ends them all.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from service.errors import InvalidSettings
from service.settings import Settings

SIGNATURE = "signature"
"""The parameter of the address's query."""

_PURPOSE = "face-service picture 1"
"""Nothing else that a key may sign one day begins so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAddresses:
    """`public_url` is where browsers reach the service. The first of `keys` signs, each of them is believed."""

    public_url: str
    keys: tuple[str, ...] = field(repr=False)

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
        signature = _sign(self.keys[0], face_id)
        return f"{self.public_url}/v1/faces/{face_id}/picture.jpg?{SIGNATURE}={signature}"

    def is_signed(self, face_id: int, signature: str) -> bool:
        """Whether a signature was made for this face, with a key that is in use."""
        presented = signature.encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(_sign(key, face_id).encode(), presented) for key in self.keys)


def _sign(key: str, face_id: int) -> str:
    """64 hexadecimal digits."""
    return hmac.new(key.encode(), f"{_PURPOSE}\n{face_id}".encode(), hashlib.sha256).hexdigest()
