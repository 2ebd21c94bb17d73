"""A gallery of a running service, looked at through its /v1."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from indexer.service_access import ServiceAccess

FACES_PATH = "/v1/faces"
PEOPLE_PATH = "/v1/people"
PAGE = 500
"""Faces of an answer."""


class ServedGallery:
    """See indexer.browsing.access.Faces; without `gallery` it is the caller's own."""

    def __init__(self, service: ServiceAccess, gallery: str | None) -> None:
        self.place = f"gallery{f' {gallery}' if gallery else ''} of the service at {service.url}"
        self._service = service
        self._gallery = gallery

    async def list(self, remark: str | None) -> AsyncIterator[Mapping[str, Any]]:
        """See Faces.list; page by page."""
        query = {"limit": str(PAGE)} | ({} if remark is None else {"remark": remark})
        while True:
            page = await self._service.get(FACES_PATH, self._gallery, query)
            for face in self._service.required(page, "faces", list):
                yield face
            cursor = page.get("next_cursor")
            if cursor is None:
                return
            query["cursor"] = str(cursor)

    async def face(self, face_id: int) -> Mapping[str, Any]:
        """See Faces.face."""
        return await self._service.get(f"{FACES_PATH}/{face_id}", self._gallery, {"include": "picture"})

    async def count(self, remark: str) -> int:
        """See Faces.count."""
        person = await self._service.get(_person(remark), self._gallery)
        return int(self._service.required(person, "faces", int))

    async def remove_face(self, face_id: int) -> None:
        """See Faces.remove_face."""
        await self._service.delete(f"{FACES_PATH}/{face_id}", self._gallery)

    async def remove_person(self, remark: str) -> int:
        """See Faces.remove_person."""
        return int(self._service.required(await self._service.delete(_person(remark), self._gallery), "removed", int))

    async def remove_faces(self, device_id: str | None) -> int:
        """See Faces.remove_faces."""
        query = {"device": device_id} if device_id is not None else {"confirm": await self._name()}
        answer = await self._service.delete(FACES_PATH, self._gallery, query)
        return int(self._service.required(answer, "removed", int))

    async def _name(self) -> str:
        """The gallery's name, also where it is the caller's own."""
        page = await self._service.get(PEOPLE_PATH, self._gallery, {"limit": "1"})
        return str(self._service.required(page, "gallery", str))


def _person(remark: str) -> str:
    return f"{PEOPLE_PATH}/{quote(remark, safe='').replace('.', '%2E')}"
