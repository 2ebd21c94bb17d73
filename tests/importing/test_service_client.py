"""The indexer's end of a running service: signed requests, refusals, and a service that is away or none at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from indexer.importing.failures import CannotGoOn, Refused
from indexer.importing.outcomes import Outcome
from indexer.importing.service_client import ServiceClient, Sign
from service.errors import StoreUnavailable

Make = Callable[..., Awaitable[ServiceClient]]


class Answers:
    """A service that answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.envelopes: list[tuple[int, str]] = []
        """The next answers' code and detail, success when there are no more."""
        self.ready: list[int] = []
        """The next statuses of /readyz, 200 when there are no more."""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.body: str | None = None

    async def register(self, request: web.Request) -> web.Response:
        form = await request.post()
        image = form["image"]
        assert isinstance(image, web.FileField)
        self.requests.append((request.raw_path, dict(request.headers), image.file.read()))
        code, detail = self.envelopes.pop(0) if self.envelopes else (0, "")
        text = self.body or json.dumps({"code": code, "error": "", "detail": detail, "data": {}})
        return web.Response(text=text, content_type="application/json")

    async def readiness(self, _: web.Request) -> web.Response:
        return web.Response(status=self.ready.pop(0) if self.ready else 200)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def server(answers: Answers) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.add_routes([web.post("/registration_face", answers.register), web.get("/readyz", answers.readiness)])
    server = TestServer(app)
    async with server:
        yield server


@pytest.fixture
async def make(server: TestServer) -> AsyncIterator[Make]:
    """Makes clients of the server that give up after a tenth of a second."""
    async with ClientSession() as session:

        async def make(sign: Sign | None = None) -> ServiceClient:
            return ServiceClient(session, str(server.make_url("/")), sign, away_limit_s=0.1)

        yield make


async def test_a_photo_goes_out_as_the_device_api_wants_it(make: Make, answers: Answers) -> None:
    """The remark in the query, where signatures cover it, percent-encoded by RFC 3986; the bytes unchanged."""
    client = await make()
    candidate = await client.observe(b"photo\r\n--", "a b+c/d&e=安")
    assert await client.write([(candidate, "")]) == [[(Outcome.REGISTERED, None)]]
    ((target, _, image),) = answers.requests
    assert target == "/registration_face?remark=a%20b%2Bc%2Fd%26e%3D%E5%AE%89"
    assert image == b"photo\r\n--"


async def test_what_is_signed_is_what_is_sent(make: Make, answers: Answers) -> None:
    """A signature is over method, target and bytes; its headers go along."""

    def sign(method: str, target: str, content: bytes) -> dict[str, str]:
        return {"X-Signature": f"{method} {target} {hashlib.sha256(content).hexdigest()}"}

    await (await make(sign)).observe(b"photo", "安")
    ((target, headers, image),) = answers.requests
    assert headers["X-Signature"] == f"POST {target} {hashlib.sha256(image).hexdigest()}"


@pytest.mark.parametrize("code", [1002, 1003])
async def test_a_service_that_wants_a_signature_stops_the_import(make: Make, answers: Answers, code: int) -> None:
    """It would refuse a million photos alike."""
    answers.envelopes = [(code, "Name the device.")]
    with pytest.raises(CannotGoOn, match="does not know this device: Name the device"):
        await (await make()).observe(b"photo", "Ann")


async def test_a_refused_photo_is_refused_in_the_service_s_words(make: Make, answers: Answers) -> None:
    answers.envelopes = [(1004, "No usable face was found.")]
    with pytest.raises(Refused, match=r"^No usable face was found\.$"):
        await (await make()).observe(b"photo", "Ann")
    assert len(answers.requests) == 1


async def test_a_photo_is_not_to_blame_for_a_gallery_that_is_away(make: Make, answers: Answers) -> None:
    """It is sent again once the service is ready."""
    answers.envelopes, answers.ready = [(1004, "The gallery is away.")], [503]
    await (await make()).observe(b"photo", "Ann")
    assert len(answers.requests) == 2


async def test_a_service_that_stays_away_stops_the_import(make: Make, server: TestServer) -> None:
    client = await make()
    await server.close()
    with pytest.raises(StoreUnavailable, match="start it or correct --service"):
        await client.check()
    with pytest.raises(CannotGoOn, match="the same command goes on from here"):
        await client.observe(b"photo", "Ann")


@pytest.mark.parametrize("body", ["hello", "[]", '{"code": "x"}'])
async def test_something_else_than_a_service_stops_the_import(make: Make, answers: Answers, body: str) -> None:
    answers.body = body
    with pytest.raises(CannotGoOn, match="is no face service"):
        await (await make()).observe(b"photo", "Ann")
