"""Who sent a request, and which gallery it is about."""

from __future__ import annotations

from aiohttp import web

from service.gallery.gallery import Gallery
from service.http.keys import GALLERIES
from service.values import DEFAULT_GALLERY


async def gallery_of(request: web.Request, named: str | None = None) -> Gallery:
    """The gallery that a request names, else the one that its caller uses. Raises UnknownGallery, StoreUnavailable."""
    return await request.app[GALLERIES].of(named or DEFAULT_GALLERY)
