"""One gallery to look into: that of the settings, or one of a running service, as the command line says."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from indexer import service_access
from indexer.browsing.served import ServedGallery
from indexer.browsing.stored import StoredGallery
from service.devices.entries import GALLERY
from service.errors import GalleryInUse, InvalidSettings, StoreUnavailable, UnknownGallery
from service.gallery.opening import open_existing
from service.settings import Settings
from service.values import DEFAULT_GALLERY, MAX_FACE_ID, MAX_REMARK

MAX_DIGITS = 16
"""Of MAX_FACE_ID."""


class Faces(Protocol):
    """The faces of one gallery; each is told with the members that /v1 has.

    Every method raises StoreUnavailable, and through a service what the service says.
    """

    @property
    def place(self) -> str:
        """Where the gallery is, in words."""

    def list(self, remark: str | None) -> AsyncIterator[Mapping[str, Any]]:
        """Every face or those of a remark, oldest first, without pictures, as they are read."""

    async def face(self, face_id: int) -> Mapping[str, Any]:
        """A face with its picture. Raises UnknownFace."""

    async def count(self, remark: str) -> int:
        """How many faces a remark has. Raises UnknownPerson where there are none."""

    async def remove_face(self, face_id: int) -> None:
        """Forget a face for good. Raises UnknownFace."""

    async def remove_person(self, remark: str) -> int:
        """Forget all faces of a remark for good; how many, about. Raises UnknownPerson."""

    async def remove_faces(self, device_id: str | None) -> int:
        """Forget the faces that a device registered, None: all of the gallery; how many. Cut off, it is repeated."""


def place_options(parser: argparse.ArgumentParser) -> None:
    """Which gallery is meant."""
    parser.add_argument("--gallery", type=_gallery, metavar="NAME", help="another gallery than `default`")
    parser.add_argument("--service", metavar="URL", help="ask the service that runs there")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="with --service: the file of an operator's key")


def whose_options(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Which face or person is meant; a command may add other ways to say it."""
    meant = parser.add_mutually_exclusive_group(required=True)
    meant.add_argument("face_id", nargs="?", type=_face_id, metavar="FACE_ID", help="the number of a face")
    meant.add_argument("--remark", type=remark_of, metavar="TEXT", help="a person: all faces of this remark")
    return meant


@asynccontextmanager
async def opened(settings: Settings, arguments: argparse.Namespace) -> AsyncGenerator[Faces]:
    """The gallery that the options mean.

    Raises GalleryInUse while a service has it open, UnknownGallery or StoreUnavailable where there is none, and
    InvalidSettings for options that don't go together.
    """
    if arguments.service:
        async with service_access.connected(arguments.service, arguments.key_file) as service:
            yield ServedGallery(service, arguments.gallery)
        return
    if arguments.key_file:
        raise InvalidSettings("--key-file goes with --service; name the service, or leave it out.")
    name = arguments.gallery or DEFAULT_GALLERY
    try:
        opening = open_existing(settings)
        store, contract = await opening.__aenter__()
    except GalleryInUse:
        raise GalleryInUse(
            f"The gallery in {settings.data} is open in another process, most likely the service; add --service "
            f"http://127.0.0.1:{settings.port} to ask that one, or stop it."
        ) from None
    try:
        if contract is None:
            raise StoreUnavailable("There is no gallery there yet; FACE_DATA or FACE_QDRANT_URL say where it is.")
        there = [each.name for each in await store.galleries()]
        if name not in there:
            raise UnknownGallery(f"There is no gallery {name}, only {', '.join(there)}; correct --gallery.")
        yield StoredGallery(store, name, place=settings.qdrant_url or str(settings.data))
    finally:
        await opening.__aexit__(None, None, None)


def remark_of(text: str) -> str:
    """The type of an option that takes a remark."""
    try:
        text.encode()
    except UnicodeError:
        raise argparse.ArgumentTypeError("must be UTF-8") from None
    if not 1 <= len(text) <= MAX_REMARK:
        raise argparse.ArgumentTypeError(f"must have from 1 to {MAX_REMARK} characters")
    return text


def _face_id(text: str) -> int:
    if not (
        text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_FACE_ID)) and 0 < int(text) <= MAX_FACE_ID
    ):
        raise argparse.ArgumentTypeError(
            f"must be the number of a face, from 1 to {MAX_FACE_ID}; a person is named by --remark"
        )
    return int(text)


def _gallery(text: str) -> str:
    if not GALLERY.fullmatch(text):
        raise argparse.ArgumentTypeError("must have up to 64 of a to z, 0 to 9, - and _, the first a letter or digit")
    return text
