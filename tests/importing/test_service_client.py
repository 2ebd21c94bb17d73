"""The indexer's end of a running service: batches, refusals, and a service that is away, too old or none at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from indexer.importing import service_client
from indexer.importing.credentials import Credentials, no_credentials
from indexer.importing.failures import CannotGoOn, Refused
from indexer.importing.outcomes import Outcome
from indexer.importing.service_client import IN_FLIGHT, PHOTOS_AT_ONCE, REQUESTS_AT_ONCE, ServiceClient
from service.errors import StoreUnavailable

Make = Callable[..., Awaitable[ServiceClient]]


def problem(status: int, code: str, detail: str = "Do something else.") -> tuple[int, str]:
    return status, json.dumps({"status": status, "code": code, "detail": detail})


class Answers:
    """A service that answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.next: list[tuple[int, str]] = []
        """The next answers' status and body; when there are no more, every photo is registered."""
        self.outcomes: dict[bytes, Any] = {}
        """By a photo's bytes: another outcome than that."""
        self.ready: list[int] = []
        """The next statuses of /readyz, 200 when there are no more."""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.batches: list[list[tuple[str, bytes]]] = []
        """Each request's remarks and photos."""
        self.at_once = self.most_at_once = 0
        self.are_full = asyncio.Event()
        """Set once as many requests are here as there may be."""
        self.going = asyncio.Event()
        self.going.set()

    async def register(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((request.raw_path, dict(request.headers), body))
        boundary = request.headers["Content-Type"].partition("boundary=")[2].encode()
        texts = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in body.split(b"--" + boundary)[1:-1]]
        photos = texts[1::2]
        self.batches.append([(remark.decode(), photo) for remark, photo in zip(texts[::2], photos, strict=True)])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.at_once == REQUESTS_AT_ONCE:
            self.are_full.set()
        await self.going.wait()
        self.at_once -= 1
        if self.next:
            status, text = self.next.pop(0)
            return web.Response(status=status, text=text, content_type="application/json")
        return web.json_response({"outcomes": [self._outcome(photo) for photo in photos]})

    def _outcome(self, photo: bytes) -> Any:
        face = {"face_id": int.from_bytes(photo[:3]), "new": photo not in self.outcomes}
        known = {"status": 201, "faces": [face]}
        return self.outcomes.pop(photo, None) or known

    async def readiness(self, _: web.Request) -> web.Response:
        return web.Response(status=self.ready.pop(0) if self.ready else 200)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def server(answers: Answers) -> AsyncIterator[TestServer]:
    app = web.Application(client_max_size=2**26)
    app.add_routes([web.post("/v1/faces:batch", answers.register), web.get("/readyz", answers.readiness)])
    server = TestServer(app)
    async with server:
        yield server


@pytest.fixture
async def make(server: TestServer) -> AsyncIterator[Make]:
    """Makes clients of the server that give up after a tenth of a second."""
    clients: list[ServiceClient] = []
    async with ClientSession() as session:

        async def make(credentials: Credentials = no_credentials, gallery: str | None = None) -> ServiceClient:
            url = str(server.make_url("/"))
            clients.append(ServiceClient(session, url, credentials, gallery=gallery, away_limit_s=0.1))
            return clients[-1]

        yield make
        for client in clients:
            await client.close()


async def test_a_photo_goes_out_behind_its_remark(make: Make, answers: Answers) -> None:
    """Both unchanged; what comes back is the face's number."""
    client = await make(gallery="visitors")
    candidate = await client.observe(b"photo\r\n--", 'a b+c/d&e="安"\r\n')
    number = int.from_bytes(b"pho")
    assert await client.write([(candidate, "")]) == [[(Outcome.REGISTERED, number)]]
    assert candidate.sha256 == hashlib.sha256(b"photo\r\n--").hexdigest()
    assert answers.batches == [[('a b+c/d&e="安"\r\n', b"photo\r\n--")]]
    assert answers.requests[0][0] == "/v1/faces:batch?gallery=visitors"


async def test_what_waits_goes_out_together(make: Make, answers: Answers) -> None:
    """In few requests, a few at once; each photo gets its own outcome, known faces and refusals too."""
    answers.going.clear()
    refused = {"status": 422, "problem": json.loads(problem(422, "face_not_found", "No face was found.")[1])}
    several = {"status": 201, "faces": [{"face_id": 7, "new": False}, {"face_id": 8, "new": True}]}
    photos = [b"%03d" % number for number in range(IN_FLIGHT)]
    answers.outcomes = {photos[20]: refused, photos[30]: several, photos[31]: {"status": 201, "faces": []}}
    client = await make()
    observing = [asyncio.create_task(client.observe(photo, "Ann")) for photo in photos]
    await answers.are_full.wait()
    answers.going.set()
    outcomes = await asyncio.gather(*observing, return_exceptions=True)
    assert [str(each) for each in outcomes if isinstance(each, BaseException)] == ["No face was found."]
    assert isinstance(outcomes[20], Refused)
    written = await client.write([(each, "Ann") for each in outcomes if not isinstance(each, BaseException)])
    assert written[29] == [(Outcome.KNOWN, 7), (Outcome.REGISTERED, 8)]
    assert written[30] == [(Outcome.REGISTERED, None)]
    assert written[0] == [(Outcome.REGISTERED, int.from_bytes(photos[0]))]
    assert len(answers.batches) <= 2 + REQUESTS_AT_ONCE
    assert max(map(len, answers.batches)) == PHOTOS_AT_ONCE
    assert answers.most_at_once == REQUESTS_AT_ONCE


async def test_a_request_has_only_so_many_bytes(make: Make, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or one photo."""
    monkeypatch.setattr(service_client, "BYTES_AT_ONCE", 10)
    client = await make()
    await asyncio.gather(*(client.observe(b"x" * length, "Ann") for length in (4, 4, 4, 11, 1, 1)))
    sizes = [[len(photo) for _, photo in batch] for batch in answers.batches]
    assert sorted(length for each in sizes for length in each) == [1, 1, 4, 4, 4, 11]
    assert all(len(each) == 1 or sum(each) <= 10 for each in sizes)
    assert len(sizes) < 6


async def test_what_is_signed_is_what_is_sent(make: Make, answers: Answers) -> None:
    """Credentials are for method, target and the whole body; their headers go along."""

    def sign(method: str, target: str, body: bytes) -> dict[str, str]:
        return {"X-Signature": f"{method} {target} {hashlib.sha256(body).hexdigest()}"}

    await (await make(sign, gallery="staff")).observe(b"photo", "安")
    ((target, headers, body),) = answers.requests
    assert headers["X-Signature"] == f"POST {target} {hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize(
    "answer",
    [
        problem(401, "bad_signature", "Name the device."),
        problem(403, "operation_denied", "Name the device."),
        problem(404, "unknown_gallery", "Name the device."),
        (200, json.dumps({"code": 1003, "error": "bad_device_id", "detail": "Name the device.", "data": {}})),
    ],
)
async def test_a_service_that_lets_nobody_in_stops_the_import(
    make: Make, answers: Answers, answer: tuple[int, str]
) -> None:
    """It would refuse a million photos alike."""
    answers.next = [answer]
    with pytest.raises(CannotGoOn, match="does not let this import in: Name the device"):
        await (await make()).observe(b"photo", "Ann")
    assert len(answers.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        problem(404, "uri_not_found"),
        (200, json.dumps({"code": 1000, "error": "uri_not_found", "detail": "No such path.", "data": {}})),
    ],
)
async def test_a_service_of_an_older_version_is_said_to_be_one(
    make: Make, answers: Answers, answer: tuple[int, str]
) -> None:
    """With what to do; also one that knows no /v1 at all."""
    answers.next = [answer]
    with pytest.raises(CannotGoOn, match=r"older version without POST /v1/faces:batch; update it"):
        await (await make()).observe(b"photo", "Ann")


@pytest.mark.parametrize("status", [400, 413])
async def test_photos_that_are_too_much_together_go_alone(make: Make, answers: Answers, status: int) -> None:
    """A service, or a proxy before it, may take less than was sent; a photo that alone is too much is refused."""
    client = await make()
    answers.next = [problem(status, "image_too_large")]
    await asyncio.gather(*(client.observe(b"%d" % number, "Ann") for number in range(4)))
    assert [len(batch) for batch in answers.batches[:1]] == [4]
    assert sorted(len(batch) for batch in answers.batches[1:]) == [1, 1, 1, 1]
    answers.next = [(status, "<html>too large</html>")]
    with pytest.raises(Refused, match=f"HTTP status {status}"):
        await client.observe(b"photo", "Ann")


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "store_unavailable"),
        problem(429, "rate_exceeded"),
        (502, "<html>Bad gateway</html>"),
        (200, json.dumps({"outcomes": [{"status": 503, "problem": json.loads(problem(503, "overloaded")[1])}]})),
    ],
)
async def test_a_photo_is_not_to_blame_for_a_service_that_is_busy_or_away(
    make: Make, answers: Answers, answer: tuple[int, str]
) -> None:
    """It is sent again."""
    answers.next = [answer]
    await (await make()).observe(b"photo", "Ann")
    assert len(answers.requests) == 2


async def test_only_what_met_a_busy_service_is_sent_again(make: Make, answers: Answers) -> None:
    """So the others stay new."""
    busy = {"status": 503, "problem": json.loads(problem(503, "overloaded")[1])}
    answers.outcomes = {b"two": busy}
    client = await make()
    found = await asyncio.gather(*(client.observe(photo, "Ann") for photo in (b"one", b"two", b"six")))
    assert answers.batches[-1] == [("Ann", b"two")]
    assert [outcome for each in found for outcome, _ in each.written] == [Outcome.REGISTERED] * 3


async def test_a_service_that_stays_away_stops_the_import(make: Make, server: TestServer) -> None:
    client = await make()
    await server.close()
    with pytest.raises(StoreUnavailable, match="start it or correct --service"):
        await client.check()
    with pytest.raises(CannotGoOn, match="the same command goes on from here"):
        await client.observe(b"photo", "Ann")


@pytest.mark.parametrize(
    "body", ["hello", "[]", '{"code": ""}', '{"outcomes": []}', '{"outcomes": [{}]}', '{"outcomes": 1}']
)
async def test_something_else_than_a_service_stops_the_import(make: Make, answers: Answers, body: str) -> None:
    answers.next = [(200, body)]
    with pytest.raises(CannotGoOn, match="is no face service"):
        await (await make()).observe(b"photo", "Ann")


async def test_a_remark_that_is_no_text_fails_alone(make: Make, answers: Answers) -> None:
    """Other photos of the same moment go out."""
    client = await make()
    one, other = await asyncio.gather(
        client.observe(b"one", "\udcff"), client.observe(b"two", "Ann"), return_exceptions=True
    )
    assert isinstance(one, UnicodeEncodeError)
    assert not isinstance(other, BaseException)
    assert answers.batches == [[("Ann", b"two")]]
