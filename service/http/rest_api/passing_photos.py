"""Addresses of pictures in /v1's answers, which a browser opens without a key for some minutes."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from service.http.keys import PICTURE_ADDRESSES
from service.http.rest_api.answers import Photo
from service.picture_addresses import PictureAddresses


class PassingPhotos:
    """Makes the addresses of one answer's pictures."""

    def __init__(self, addresses: PictureAddresses | None) -> None:
        """None: the service makes none."""
        self._addresses = addresses

    def __call__(self, face_id: int, gallery: str) -> Photo | None:
        """That of a face of a gallery, as /v1 tells it; None where the service makes none."""
        if self._addresses is None:
            return None
        url, expires = self._addresses.passing(face_id, gallery=gallery)
        return Photo(url=url, expires_at=datetime.fromtimestamp(expires, UTC))


def photos_for(request: web.Request, include: str | None) -> PassingPhotos | None:
    """None where they weren't asked for."""
    return PassingPhotos(request.app[PICTURE_ADDRESSES]) if "photo" in (include or "") else None
