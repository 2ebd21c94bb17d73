"""Failures below /v1 are problem documents with statuses of their own; those of devices stay envelopes."""

from __future__ import annotations

import logging

import pytest

from service import errors
from service.errors import FaceServiceError, StoreUnavailable
from service.gallery.gallery import Gallery
from service.http.rest_api.problems import STATUSES, status_of
from service.logs import TextFormatter
from tests.http.rest_api.conftest import Caller
from tests.support.device import Device
from tests.support.logs import of_requests, of_service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_unknown_paths_and_methods(caller: Caller) -> None:
    """404 and 405, with the methods that there are."""
    for path in ("/v1", "/v1/", "/v1/unknown", "/v1/faces/1/unknown", "/v1/people/a/b"):
        await caller.fails(404, "uri_not_found", "GET", path)
    for method, path, allowed in (
        ("PUT", "/v1/faces", {"GET", "POST", "DELETE"}),
        ("POST", "/v1/faces/1", {"GET", "PATCH", "DELETE"}),
        ("POST", "/v1/people/a%2Fb", {"GET", "PATCH", "DELETE"}),
        ("GET", "/v1/identify", {"POST"}),
        ("OPTIONS", "/v1/model", {"GET"}),
        ("DELETE", "/docs", {"GET"}),
    ):
        async with caller.http.request(method, path) as response:
            assert response.status == 405
            assert set(response.headers["Allow"].split(",")) == allowed
            assert (await response.json(content_type="application/problem+json"))["code"] == "method_not_allowed"


async def test_devices_are_answered_as_ever(device: Device) -> None:
    """The paths of the device contract, and all that is not below /v1, have envelopes with status 200."""
    for path in ("/unknown", "/v1x", "/v2/faces", "/console"):
        await device.fails(1000, "GET", path)


async def test_the_log_has_the_template_and_the_slug(
    caller: Caller, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes]
) -> None:
    """Never a path of the client's, and the id that the answer bears; nothing else is logged."""
    await caller.register(portraits["obama"], "remark=a")
    await caller.fails(404, "unknown_face", "GET", "/v1/faces/123456789")
    await caller.fails(404, "unknown_person", "GET", "/v1/people/Somebody")
    await caller.fails(404, "uri_not_found", "GET", "/v1/persons/Somebody")
    lines = [(each["method"], each["route"], each["code"], each["reason"]) for each in of_requests(logged)]
    assert lines[-4:] == [
        ("POST", "/v1/faces", "201", "ok"),
        ("GET", "/v1/faces/{face_id}", "404", "unknown_face"),
        ("GET", "/v1/people/{remark}", "404", "unknown_person"),
        ("GET", "unknown", "404", "uri_not_found"),
    ]
    assert {"decode", "detect", "embed", "store"} <= set(of_requests(logged)[-4]["ms"])
    assert [record for record in of_service(logged) if record.levelno > logging.INFO] == []
    async with caller.http.get("/metrics") as response:
        assert 'route="/v1/faces/{face_id}"' in await response.text()


async def test_a_store_that_is_away_says_when_to_come_back(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: Gallery) -> int:
        raise StoreUnavailable("The store is away; try again soon.")

    monkeypatch.setattr(Gallery, "count", away)
    async with caller.http.get("/v1/stats") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert (await response.json(content_type=None))["code"] == "store_unavailable"


async def test_the_unforeseen_is_answered_without_detail(
    caller: Caller, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has its traceback under the id that the answer bears."""
    monkeypatch.setattr(Gallery, "count", lambda _: 1 / 0)
    async with caller.http.get("/v1/stats") as response:
        answer = await response.json(content_type=None)
        assert (response.status, answer["code"]) == (500, "unforeseen")
    (unforeseen,) = [record for record in logged.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in TextFormatter().format(unforeseen)
    assert vars(unforeseen)["request_id"] == answer["request_id"]


async def test_a_class_has_its_own_status_or_its_parents() -> None:
    """What /v1 can't meet, such as settings that can't be used, would be our own fault."""
    assert status_of(errors.TooSmall) == STATUSES[errors.FaceNotFound]
    assert status_of(errors.ImageTooLarge) == 413
    assert status_of(errors.GalleryInUse) == 503
    assert status_of(errors.InvalidSettings) == status_of(FaceServiceError) == 500
