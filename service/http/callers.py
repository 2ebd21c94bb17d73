"""Who sent a request, and which galleries it may be about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from service.devices.operations import OPERATIONS
from service.errors import OperationDenied
from service.gallery.gallery import Gallery
from service.http.current import opened_for
from service.http.keys import CALLER, GALLERY_NAME, TIMINGS, UPLOAD
from service.values import DEFAULT_GALLERY, GalleryEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever sends a request: which of OPERATIONS, in which galleries (None: all), and in which if none is named.

    `name` is a device's id, or `key:` and a key's name.
    """

    name: str
    operations: frozenset[str]
    galleries: frozenset[str] | None = None
    gallery: str = DEFAULT_GALLERY

    def may_use(self, gallery: str) -> bool:
        """Whether the gallery is one of its own."""
        return self.galleries is None or gallery in self.galleries


ANYBODY = Caller(name="anybody", operations=frozenset(OPERATIONS))
"""Whoever sends a request to a service that asks nobody who they are."""


def count_for(request: web.Request, name: str) -> None:
    """Share what there is among all who ask with this device or key, of which it is certain, and not by address."""
    request[TIMINGS].caller = request[UPLOAD].caller = name


def gallery_name(request: web.Request, named: str | None = None) -> str:
    """The gallery that a request names, else the one that its caller uses, whether there is such a gallery or not.

    Raises OperationDenied where the caller may not use it.
    """
    caller = request[CALLER]
    gallery = caller.gallery if named is None else named
    if not caller.may_use(gallery):
        raise OperationDenied(
            f"{caller.name} may not use this gallery; name another one, or ask the service's operator to allow it."
        )
    request[GALLERY_NAME] = gallery
    return gallery


async def gallery_of(request: web.Request, named: str | None = None) -> Gallery:
    """The gallery of gallery_name. Raises OperationDenied, UnknownGallery or StoreUnavailable."""
    return await opened_for(request).galleries.of(gallery_name(request, named))


def visible_galleries(request: web.Request, galleries: Iterable[GalleryEntry]) -> list[GalleryEntry]:
    """Those of some galleries that the caller may use."""
    return [each for each in galleries if request[CALLER].may_use(each.name)]


def require_all_galleries(request: web.Request) -> None:
    """Raise OperationDenied where the caller may not use every gallery, those that will be made among them."""
    if request[CALLER].galleries is not None:
        raise OperationDenied(
            f"{request[CALLER].name} may not use all galleries; name one, or ask the service's operator to allow it."
        )
