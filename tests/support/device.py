"""A device in the field: speaks the contract, and checks each answer's status, keys and types as it comes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import ClientResponse, ClientSession, FormData, web
from aiohttp.test_utils import TestClient
from PIL import Image
from yarl import URL

ERRORS = {
    999: "unknow_error",
    1000: "uri_not_found",
    1001: "missing_args",
    1002: "bad_signature",
    1003: "bad_device_id",
    1004: "registration_failed",
    1005: "recognition_failed",
}
"""The contract's table."""

BOUNDARY = "frontier"


Client = TestClient[web.Request, web.Application]
"""Of a service that runs in the tests' own process."""


@dataclass(frozen=True, slots=True)
class Device:
    """Each method sends one request; those with `expect` want that code, and return the answer's data or detail."""

    http: Client | ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The envelope of any request; `path` goes out as it is, percent signs and all."""
        async with self.http.request(method, URL(path, encoded=True), **options) as response:
            return await envelope(response)

    async def fails(self, code: int, method: str, path: str, **options: Any) -> str:
        """The detail of a request that must fail with that code."""
        answer = await self.ask(method, path, **options)
        assert answer["code"] == code, answer
        detail: str = answer["detail"]
        return detail

    async def succeeds(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The data of a request that must succeed."""
        answer = await self.ask(method, path, **options)
        assert answer["code"] == 0, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def register(self, photo: bytes, remark: str) -> None:
        assert await self.succeeds("POST", register_path(remark), data=form(photo)) == {}

    async def recognise(self, photo: bytes) -> list[dict[str, str]]:
        """The matches, each {"remark", "picture"}, best first."""
        data = await self.succeeds("POST", "/recognition_face", data=form(photo))
        assert set(data) == {"recognition_face"}
        found: list[dict[str, str]] = data["recognition_face"]
        for match in found:
            assert set(match) == {"remark", "picture"}
            assert type(match["remark"]) is str
            picture(match["picture"])
        return found

    async def recognise_as(self, photo: bytes, query: str) -> list[dict[str, Any]]:
        """The matches of a recognition with parameters in its query, best first."""
        data = await self.succeeds("POST", f"/recognition_face?{query}", data=form(photo))
        found: list[dict[str, Any]] = data["recognition_face"]
        return found

    async def faces(self, query: str = "") -> list[dict[str, Any]]:
        """The list, each {"face_id", "picture", "remark"}, oldest first."""
        data = await self.succeeds("GET", f"/get_registration_face{query}")
        assert set(data) == {"all_face"}
        faces: list[dict[str, Any]] = data["all_face"]
        for face in faces:
            assert set(face) == {"face_id", "picture", "remark"}
            assert type(face["face_id"]) is int
            assert 1 <= face["face_id"] < 2**53
            assert type(face["remark"]) is str
            picture(face["picture"])
        assert len({face["face_id"] for face in faces}) == len(faces)
        return faces

    async def remarks(self, query: str = "") -> list[str]:
        return [face["remark"] for face in await self.faces(query)]

    async def delete(self, face_id: int) -> None:
        assert await self.succeeds("DELETE", f"/delete_registration_face?face_id={face_id}") == {}

    async def delete_all(self) -> None:
        for face in await self.faces():
            await self.delete(face["face_id"])


async def envelope(response: ClientResponse) -> dict[str, Any]:
    """An answer's body, which must be HTTP 200 and JSON of exactly the contract's four keys."""
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    answer = json.loads(await response.read())
    assert set(answer) == {"code", "error", "detail", "data"}
    code, error, detail, data = (answer[key] for key in ("code", "error", "detail", "data"))
    assert (type(code), type(error), type(detail), type(data)) == (int, str, str, dict)
    if code == 0:
        assert (error, detail) == ("", "")
    else:
        assert error == ERRORS[code]
        assert data == {}
        assert detail.endswith(".")
        assert "\n" not in detail
    return {"code": code, "error": error, "detail": detail, "data": data}


def register_path(remark: str) -> str:
    return f"/registration_face?remark={quote(remark, safe='')}"


def form(photo: bytes, filename: str | None = "1.jpg", content_type: str | None = "image/jpeg") -> FormData:
    """The body of the contract: the photo in the part `image`."""
    data = FormData()
    data.add_field("image", photo, filename=filename, content_type=content_type)
    return data


def multipart(*parts: tuple[str, bytes], end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> dict[str, Any]:
    """A body made by hand, as options of a request: of each part the name (or, if it has a colon, the head)."""
    body = b""
    for head, content in parts:
        lines = head if ":" in head else f'Content-Disposition: form-data; name="{head}"'
        body += f"--{BOUNDARY}\r\n{lines}\r\n\r\n".encode() + content + b"\r\n"
    return {"data": body + end, "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}}


def picture(text: str) -> Image.Image:
    """The picture in an answer, which must be the base64 of a JPEG that opens."""
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    assert image.format == "JPEG"
    image.load()
    return image


def jpeg(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def variants(photo: bytes, count: int) -> Iterable[bytes]:
    """Photos that look the same and differ in their bytes: a JPEG's decoder stops before what is appended."""
    return (photo + f"{number:04}".encode() for number in range(count))
