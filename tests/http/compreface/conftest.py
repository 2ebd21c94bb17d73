"""A client that speaks CompreFace's API over HTTP, and checks the form of each failure as it comes."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import FormData
from yarl import URL

from service.settings import Settings
from tests.conftest import MODELS
from tests.http.rest_api.conftest import no_face, two
from tests.support.device import Client

__all__ = ["no_face", "two"]

FACES, SUBJECTS = "/api/v1/recognition/faces", "/api/v1/recognition/subjects"
RECOGNIZE, DETECT, VERIFY = "/api/v1/recognition/recognize", "/api/v1/detection/detect", "/api/v1/verification/verify"

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class CompreFace:
    """Each method sends one request; `path` goes out as it is, percent signs and all."""

    http: Client
    key: str = "00000000-0000-0000-0000-000000000002"

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The answer's body, which must have that status: JSON, or bytes."""
        headers = {"x-api-key": self.key, **options.pop("headers", {})}
        async with self.http.request(method, URL(path, encoded=True), headers=headers, **options) as response:
            body = await response.read()
            assert response.status == status, body
            return json.loads(body) if response.content_type == "application/json" else body

    async def fails(self, status: int, code: int, method: str, path: str, **options: Any) -> str:
        """The message of a request that must fail with that status and number."""
        answer = await self.ask(method, path, status, **options)
        assert set(answer) == {"message", "code"}
        assert answer["code"] == code, answer
        message: str = answer["message"]
        assert message.endswith(".")
        return message

    async def add(self, photo: bytes, subject: str) -> str:
        """The image_id of a new example."""
        answer = await self.ask("POST", f"{FACES}?subject={quote(subject, safe='')}", 201, data=form(file=photo))
        assert answer == {"image_id": answer["image_id"], "subject": subject}
        image_id: str = answer["image_id"]
        assert UUID.fullmatch(image_id)
        return image_id

    async def about(self, photo: bytes, path: str, status: int = 200) -> Any:
        """The answer to a photo."""
        return await self.ask("POST", path, status, data=form(file=photo))

    async def subjects(self) -> list[str]:
        found: list[str] = (await self.ask("GET", SUBJECTS))["subjects"]
        return found


def form(**photos: bytes) -> FormData:
    """A form with photos by the names of their parts."""
    data = FormData()
    for name, photo in photos.items():
        data.add_field(name, photo, filename=f"{name}.jpg", content_type="image/jpeg")
    return data


def base64_of(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With CompreFace's API, and open to everybody."""
    return Settings(
        data=tmp_path_factory.mktemp("data"),
        model_dir=MODELS,
        model="casia-webface",
        compreface=True,
        max_bytes=300_000,
    )


@pytest_asyncio.fixture(loop_scope="module")
async def compreface(service: Client) -> CompreFace:
    """A client of the module's service, which knows nobody."""
    client = CompreFace(service)
    await client.ask("DELETE", FACES)
    return client
