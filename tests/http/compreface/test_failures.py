"""What CompreFace's API says to requests that it can't carry out."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from service import errors
from service.errors import FaceServiceError, Overloaded
from service.gallery.people import People
from service.http import routes
from service.http.compreface.failures import FAILURES, Told, told_as
from service.http.rest_api.problems import STATUSES
from service.settings import Settings
from tests.conftest import MODELS, Start
from tests.http.compreface.conftest import DETECT, FACES, RECOGNIZE, SUBJECTS, VERIFY, CompreFace, form
from tests.support.device import Client, Device, multipart

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITH_A_PHOTO = (RECOGNIZE, DETECT, f"{FACES}?subject=Ann", f"{FACES}/00000000-0000-0000-0000-000000000001/verify")


async def test_what_v1_can_say_has_a_number_here_too() -> None:
    """But for what only other operations say, and a face that was tampered with, of which CompreFace knows nothing."""
    elsewhere = {errors.UnusableArchive, errors.ContractMismatch, errors.RateExceeded, errors.NoncesUnavailable}
    elsewhere.add(errors.UnreadableFace)
    unknown = {each for each in STATUSES if told_as(each) == Told(500, 0)}
    assert unknown == elsewhere
    assert all(isinstance(each, type) and issubclass(each, FaceServiceError) for each in FAILURES)


class TestPhotos:
    @pytest.mark.parametrize("path", [RECOGNIZE, DETECT, f"{FACES}?subject=Ann"])
    async def test_it_must_be_there(self, compreface: CompreFace, portraits: dict[str, bytes], path: str) -> None:
        """In the part or under the name `file`, not empty, and a picture of a size that is allowed."""
        photo = portraits["obama"]
        told = await compreface.fails(400, 34, "POST", path, data=form(image=photo))
        assert "`file`" in told
        await compreface.fails(400, 34, "POST", path, **multipart(("file", b"")))
        bodies: list[Any] = [{}, {"file": None}, {"file": 7}, {"file": ""}, {"file": [photo.hex()]}, [], 7, "x"]
        for body in bodies:
            await compreface.fails(400, 5, "POST", path, json=body)
        in_json = {"Content-Type": "application/json"}
        for content in (b"", b"{", b'{"file": NaN}', b"\xff", b'{"file": "\\ud800"}', b"[" * 100_000):
            await compreface.fails(400, 5, "POST", path, data=content, headers=in_json)
        await compreface.fails(400, 26, "POST", path, data=photo, headers={"Content-Type": "image/jpeg"})
        await compreface.fails(400, 26, "POST", path, data=b"")
        for nothing in (b"no picture", b"\x00" * 5000):
            await compreface.fails(400, 21, "POST", path, data=form(file=nothing))
        await compreface.fails(400, 21, "POST", path, json={"file": "no base64!"})
        large = b"\xff\xd8" + b"\x00" * 300_000
        await compreface.fails(400, 21, "POST", path, data=form(file=large))

    async def test_two_must_be_there(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Each under its name."""
        photo = portraits["obama"]
        for name in ("source_image", "target_image"):
            other = "target_image" if name == "source_image" else "source_image"
            told = await compreface.fails(400, 34, "POST", VERIFY, data=form(**{name: photo}))
            assert f"`{other}`" in told
            told = await compreface.fails(400, 5, "POST", VERIFY, json={name: "aaaa"})
            assert f"`{other}`" in told

    async def test_parameters_must_be_usable(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Numbers within their ranges, and nothing that Python alone takes for a number."""
        for path in WITH_A_PHOTO:
            mark = "&" if "?" in path else "?"
            for wrong in (
                *("limit=-1", "limit=x", "limit=1.5", "limit=1_0", f"limit={'9' * 5000}", "limit=%D9%A1"),
                *("det_prob_threshold=1.01", "det_prob_threshold=-0.1", "det_prob_threshold=nan"),
                *("det_prob_threshold=inf", "status=maybe", "limit=%ff"),
            ):
                data = form(file=portraits["obama"])
                await compreface.fails(400, 26, "POST", f"{path}{mark}{wrong}", data=data)
        for count, code in (("0", 12), ("-2", 26), ("x", 26), ("1e3", 26)):
            path = f"{RECOGNIZE}?prediction_count={count}"
            await compreface.fails(400, code, "POST", path, data=form(file=portraits["obama"]))


class TestIds:
    async def test_an_image_id_is_a_uuid(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Anything else is 36, wherever it stands."""
        for wrong in ("1", "x", "0" * 36, "%ff", "0" * 8 + "-0000" * 3 + "-" + "g" * 12, "..%2f1"):
            await compreface.fails(400, 36, "DELETE", f"{FACES}/{wrong}")
            await compreface.fails(400, 36, "GET", f"{FACES}/{wrong}/img")
            await compreface.fails(400, 36, "GET", f"/api/v1/static/key/images/{wrong}")
            data = form(file=portraits["obama"])
            await compreface.fails(400, 36, "POST", f"{FACES}/{wrong}/verify", data=data)
        await compreface.fails(400, 36, "POST", f"{FACES}/delete", json=["x"])

    async def test_a_photo_is_compared_with_examples_that_are_there(
        self, compreface: CompreFace, portraits: dict[str, bytes]
    ) -> None:
        path = f"{FACES}/00000000-0000-0000-0000-00007fffffff/verify"
        await compreface.fails(404, 44, "POST", path, data=form(file=portraits["obama"]))

    async def test_a_list_of_ids_is_one(self, compreface: CompreFace) -> None:
        """Of texts, up to a thousand."""
        uuid = "00000000-0000-0000-0000-00007fffffff"
        for wrong in ({}, {"ids": [uuid]}, [7], [None], [[uuid]], uuid, [uuid] * 1001, ["x" * 300_000]):
            await compreface.fails(400, 5, "POST", f"{FACES}/delete", json=wrong)
        assert await compreface.ask("POST", f"{FACES}/delete", json=[uuid] * 1000) == []


class TestSubjects:
    async def test_a_name_must_be_usable(self, compreface: CompreFace) -> None:
        """A text of 1 to 1,024 characters, not all blank, in a body or in a path."""
        for method, path in (("POST", SUBJECTS), ("PUT", f"{SUBJECTS}/Ann")):
            bodies: list[Any] = [{}, {"subject": None}, {"subject": 7}, {"subject": ["x"]}, [], "x"]
            for body in bodies:
                await compreface.fails(400, 5, method, path, json=body)
            for name in ("", "  ", "x" * 1025):
                await compreface.fails(400, 26, method, path, json={"subject": name})
            in_json = {"Content-Type": "application/json"}
            await compreface.fails(400, 5, method, path, data=b'{"subject": "\\ud800"}', headers=in_json)
            await compreface.fails(400, 5, method, path, data=b" " * 300_000, headers=in_json)
        for name in ("%ff", "x" * 1025):
            await compreface.fails(400, 26, "DELETE", f"{SUBJECTS}/{name}")


class TestEverywhere:
    async def test_what_is_not_there(self, compreface: CompreFace) -> None:
        """Paths and methods of CompreFace's that aren't here either: 404 and 0."""
        for method, path in (
            ("GET", "/api/v1/recognition"),
            ("GET", "/api/v1"),
            ("POST", "/api/v1/recognition/embeddings/recognize"),
            ("PATCH", FACES),
            ("GET", RECOGNIZE),
        ):
            assert "docs/compreface.md" in await compreface.fails(404, 0, method, path)

    async def test_what_cannot_be_read_as_a_request(self, service: Client) -> None:
        """Is told in the same form."""
        assert service.port is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"GET /api/v1/recognition/faces HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.split()[1] == b"400"
        assert json.loads(body)["code"] == 0

    async def test_the_unforeseen_is_told_without_detail(
        self, compreface: CompreFace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """And what passes soon as 503 and 41, with the time after which to ask again."""

        async def breaks(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr(People, "page", breaks)
        assert "secret" not in await compreface.fails(500, 0, "GET", SUBJECTS)

        async def waits(*_: Any, **__: Any) -> None:
            raise Overloaded("Too many photos are waiting; send it again.")

        monkeypatch.setattr(People, "page", waits)
        await compreface.fails(503, 41, "GET", SUBJECTS)
        async with compreface.http.get(SUBJECTS) as response:
            assert response.headers["Retry-After"] == "1"
        caplog.clear()

    async def test_the_log_has_the_route_and_the_reason(
        self, compreface: CompreFace, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Never a subject, nor what stands for a key in a path."""
        caplog.set_level(logging.DEBUG)
        await compreface.ask("GET", "/api/v1/static/some-secret/images/00000000-0000-0000-0000-00007fffffff")
        await compreface.fails(404, 42, "DELETE", f"{SUBJECTS}/Nobody")
        lines = [vars(each) for each in caplog.records if each.message == "request"]
        assert [(each["route"], each["code"], each["reason"]) for each in lines] == [
            (routes.COMPREFACE_STATIC_IMAGE, "200", "ok"),
            (routes.COMPREFACE_SUBJECT, "404", "unknown_person"),
        ]
        assert not any(word in str(vars(each)) for each in caplog.records for word in ("some-secret", "Nobody"))


@pytest.mark.asyncio(loop_scope="function")
async def test_without_the_setting_it_is_not_there(start: Start, settings: Settings) -> None:
    """Its paths are unknown ones, as ever."""
    assert not settings.compreface
    client = await start(Settings(data=settings.data, model_dir=MODELS, model="casia-webface"))
    for method, path in (("GET", SUBJECTS), ("POST", RECOGNIZE), ("DELETE", FACES)):
        await Device(client).fails(1000, method, path)
