"""A client of /v1 that checks each answer against the API's document as it comes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from PIL import Image
from yarl import URL

from service.http.rest_api.openapi import document
from service.http.rest_api.table import OPERATIONS
from tests.support.device import Client, jpeg

DOCUMENT = document(OPERATIONS)


@dataclass(frozen=True, slots=True)
class Caller:
    """Each method sends one request; `path` goes out as it is, percent signs and all."""

    http: Client

    async def ask(self, method: str, path: str, status: int, **options: Any) -> Any:
        """The answer's body, which must have that status and be what the document says: JSON, or bytes."""
        async with self.http.request(method, URL(path, encoded=True), **options) as response:
            body = await response.read()
            assert response.status == status, body
            return told(response, method, body)

    async def fails(self, status: int, code: str, method: str, path: str, **options: Any) -> str:
        """The detail of a request that must fail with that status and code."""
        answer = await self.ask(method, path, status, **options)
        assert answer["code"] == code, answer
        detail: str = answer["detail"]
        assert detail.endswith(".")
        return detail

    async def register(self, photo: bytes, query: str) -> list[dict[str, Any]]:
        """The faces that were registered."""
        answer = await self.ask("POST", f"/v1/faces?{query}", 201, data=photo, headers={"Content-Type": "image/jpeg"})
        faces: list[dict[str, Any]] = answer["faces"]
        return faces

    async def about(self, photo: bytes, path: str, status: int = 200) -> Any:
        """The answer to a photo."""
        return await self.ask("POST", path, status, data=photo, headers={"Content-Type": "image/jpeg"})


def told(response: ClientResponse, method: str, body: bytes) -> Any:
    """The body of an answer, which must be one that the document has."""
    content = media_types(response, method).get(response.content_type)
    if response.content_type in {"application/json", "application/problem+json"}:
        answer = json.loads(body)
        schema = {"$ref": "#/components/schemas/Problem"} if content is None else content["schema"]
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer)
        if response.status >= 400:
            assert answer["status"] == response.status
            assert answer["request_id"] == response.headers["X-Request-Id"]
        return answer
    return body


def media_types(response: ClientResponse, method: str) -> dict[str, Any]:
    """What the document has for the operation that was asked, by type; nothing where there is no such operation."""
    for path, methods in DOCUMENT["paths"].items():
        parts, asked = path.split("/"), response.url.raw_path.split("/")
        alike = len(parts) == len(asked) and all(p == a or "{" in p for p, a in zip(parts, asked, strict=True))
        if alike and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]["responses"][str(response.status)].get("content", {})
            return found
    assert response.status in {404, 405}
    return {}


@pytest_asyncio.fixture(loop_scope="module")
async def caller(service: Client) -> Caller:
    """A client of the module's service, which has one gallery, the default one, and no faces."""
    caller = Caller(service)
    for gallery in (await caller.ask("GET", "/v1/galleries", 200))["galleries"][1:]:
        await caller.ask("DELETE", f"/v1/galleries/{gallery['gallery']}", 204)
    for face in (await caller.ask("GET", "/v1/faces?limit=1000", 200))["faces"]:
        await caller.ask("DELETE", f"/v1/faces/{face['face_id']}", 204)
    return caller


@pytest.fixture(scope="session")
def two(portraits: dict[str, bytes]) -> bytes:
    """A JPEG with two people side by side: obama, and biden half as large."""
    sheet = Image.new("RGB", (480, 300), (120, 120, 120))
    for name, side, left in (("obama", 240, 0), ("biden", 150, 300)):
        with Image.open(io.BytesIO(portraits[name])) as photo:
            photo.thumbnail((side, side))
            sheet.paste(photo, (left, 20))
    return jpeg(sheet, quality=92)


@pytest.fixture(scope="session")
def no_face(photos: Path) -> bytes:
    """A JPEG of a cat."""
    with Image.open(photos / "chelsea.png") as photo:
        return jpeg(photo.convert("RGB"), quality=90)
