"""What reaches the port and isn't HTTP, byte for byte: answered, logged and counted, never echoed."""

from __future__ import annotations

import asyncio
import json

import pytest

from service.http.request_heads import MAX_REQUEST_LINE
from service.logs import TextFormatter
from tests.support.device import Client, Device, multipart
from tests.support.logs import of_requests, of_service
from tests.support.signing import exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "nobodys-business"

MALFORMED = {
    "no request line": f"{SECRET}\r\n\r\n",
    "another protocol's greeting": f"SSH-2.0-{SECRET}\r\n",
    "TLS": f"\x16\x03\x01\x02\x00\x01\x00\x01{SECRET}\r\n\r\n",
    "no version": f"GET /?remark=it is {SECRET}\r\n\r\n",
    "another version": f"GET /?remark={SECRET} HTTP/9.9\r\nHost: x\r\n\r\n",
    "no version and no space": f"GET /?remark={SECRET}\r\n",
    "the next version's greeting": f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SECRET}",
    "a request to a proxy": f"CONNECT {SECRET}:443 HTTP/1.1\r\nHost: {SECRET}:443\r\n\r\n",
    "a control character in the path": f"GET /?remark={SECRET}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without a colon": f"GET / HTTP/1.1\r\nHost: x\r\n{SECRET}\r\n\r\n",
    "a header with a control character": f"GET / HTTP/1.1\r\nHost: x\r\nX-Remark: {SECRET}\x01\r\n\r\n",
    "a length that is no number": f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {SECRET}\r\n\r\n",
    "two lengths": f"POST / HTTP/1.1\r\nHost: {SECRET}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length and chunks": f"POST / HTTP/1.1\r\nX: {SECRET}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "too long a request line": f"GET /?{SECRET}={'x' * (MAX_REQUEST_LINE + 1)} HTTP/1.1\r\nHost: x\r\n\r\n",
    "headers without end": "GET / HTTP/1.1\r\nHost: x\r\n" + f"X-Many: {SECRET}\r\n" * 10_000,
    "a malformed chunk": (
        "POST /recognition_face HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Transfer-Encoding: chunked\r\nExpect: {SECRET}\r\n\r\n{SECRET}\r\n"
    ),
    "too long a header": f"GET / HTTP/1.1\r\nHost: x\r\nX-Large: {SECRET}{'x' * 9000}\r\n\r\n",
    "too many headers": "GET / HTTP/1.1\r\nHost: x\r\n" + f"X-Many: {SECRET}\r\n" * 200 + "\r\n",
}


def everything(logged: pytest.LogCaptureFixture) -> str:
    """All that the service's records hold, tracebacks too."""
    return "\n".join(TextFormatter().format(record) + str(vars(record)) for record in of_service(logged))


async def counted(service: Client) -> float:
    """How many malformed requests /metrics tells."""
    sample = 'face_requests_total{code="1001",reason="malformed_request",route="unknown"} '
    async with service.get("/metrics") as response:
        lines = [line for line in (await response.text()).splitlines() if line.startswith(sample)]
    return float(lines[0].removeprefix(sample)) if lines else 0.0


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request(service: Client, logged: pytest.LogCaptureFixture, sent: str) -> None:
    """The envelope with an id, one line with that id and whose it was, one count; and nothing of what was sent."""
    assert service.port is not None
    before = await counted(service)
    head, body = await exchange(service.port, sent.encode())
    assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 "))
    answer = json.loads(body)
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    (line,) = [line for line in of_requests(logged) if line["route"] != "/metrics"]
    assert line["levelname"] == "INFO"
    assert (line["request_id"], line["client"], line["code"]) == (headers["X-Request-Id"], "127.0.0.1", "1001")
    assert answer == {"code": 1001, "error": "missing_args", "detail": line["detail"], "data": {}}
    if "chunk" not in line["detail"]:  # else the request itself could be read, and is counted where it belongs
        assert (line["route"], line["reason"]) == ("unknown", "malformed_request")
        assert await counted(service) == before + 1
    assert [record.message for record in of_service(logged) if record.message != "request"] == []
    assert SECRET not in f"{head!r} {body!r} {everything(logged)}"


@pytest.mark.parametrize("path", ["/v1/faces", "//v1/faces/", "http://x/v1/faces?remark=1", "/v1"])
@pytest.mark.parametrize(
    "headers", ["", f"Host: x\r\n{SECRET}\r\n", f"Host: x\r\nX: {'x' * 9000}\r\n"], ids=["no host", "colon", "length"]
)
async def test_a_malformed_request_below_v1(service: Client, path: str, headers: str) -> None:
    """A problem document, with HTTP's status."""
    assert service.port is not None
    head, body = await exchange(service.port, f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode())
    assert head.split()[1] == b"400"
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (400, "malformed_request")
    assert SECRET not in body.decode()


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/nowhere", 200, "1001"), ("/healthz", 417, "417"), ("/v1/faces", 417, "417")]
)
async def test_an_expectation_that_nobody_can_meet(
    service: Client, logged: pytest.LogCaptureFixture, path: str, status: int, code: str
) -> None:
    """Which aiohttp answers before any handler: known and unknown paths alike, each in its form, one line each."""
    assert service.port is not None
    sent = f"GET {path} HTTP/1.1\r\nHost: x\r\nExpect: {SECRET}\r\n\r\n"
    head, body = await exchange(service.port, sent.encode())
    assert int(head.split()[1]) == status
    (line,) = of_requests(logged)
    assert (line["route"], line["code"], line["reason"]) == ("unknown", code, "malformed_request")
    assert f"X-Request-Id: {line['request_id']}" in head.decode()
    assert SECRET not in f"{head!r} {body!r} {everything(logged)}"


async def test_the_requests_before_it_are_answered(service: Client) -> None:
    """On the same connection, which the malformed one ends."""
    assert service.port is not None
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"nonsense\r\n\r\n")
        assert b'"code": 1001' in await reader.read()
        writer.close()


@pytest.mark.slow
async def test_a_body_that_is_malformed_behind_the_answer(
    service: Client, device: Device, logged: pytest.LogCaptureFixture
) -> None:
    """It is the request's that was answered: one line, no traceback, nothing of it in the log."""
    assert service.port is not None
    head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(head)
        answer = await reader.readuntil(b"}}")
        writer.write(SECRET.encode() + b"\r\n")
        writer.close()
    assert b'"code": 1000' in answer
    await device.fails(1000, "GET", "/nowhere")
    assert {record.levelname for record in of_service(logged)} <= {"INFO", "DEBUG"}
    assert SECRET not in everything(logged)


class TestClientsThatCloseTheirSendingSide:
    """As many small HTTP clients do once they have sent all: they get their answer, and the connection ends with it."""

    async def ask(self, service: Client, *sent: bytes) -> bytes:
        """All that comes back to these bytes, the sending side closed behind them."""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            for each in sent:
                writer.write(each)
                await asyncio.sleep(0.01)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

    @pytest.mark.parametrize("closing", [b"", b"Connection: close\r\n"])
    async def test_they_get_their_answer(
        self, service: Client, device: Device, portraits: dict[str, bytes], closing: bytes
    ) -> None:
        """Ten times out of ten, in one packet or in two."""
        form = multipart(("remark", b"test"), ("image", portraits["obama"]))
        head = "POST /registration_face HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=frontier\r\n"
        head += f"Content-Length: {len(form['data'])}\r\n"
        for packets in range(10):
            whole = head.encode() + closing + b"\r\n" + form["data"]
            answer = await self.ask(service, *([whole] if packets % 2 else [whole[:50], whole[50:500], whole[500:]]))
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == 0
        assert await device.remarks() == ["test"]

    async def test_each_of_several_requests_is_answered(self, service: Client) -> None:
        answer = await self.ask(service, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        assert answer.count(b'{"status": "alive"}') == 5

    async def test_a_request_that_is_not_whole_is_refused_at_once(
        self, service: Client, device: Device, portraits: dict[str, bytes], logged: pytest.LogCaptureFixture
    ) -> None:
        """Cut in its head, in its body and in a chunk: nobody waits for what can't come any more."""
        form = multipart(("remark", b"test"), ("image", portraits["obama"]))["data"]
        head = (
            b"POST /registration_face HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=frontier\r\n"
        )
        length = b"Content-Length: %d\r\n\r\n" % len(form)
        chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(form)
        for sent in (head, head[:3], head + length, head + length + form[:300], head + chunks + form[:300]):
            answer = await self.ask(service, sent)
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == 1001
        assert await device.faces() == []
        assert [record for record in of_service(logged) if record.levelname not in {"INFO", "DEBUG"}] == []

    async def test_those_who_ask_nothing_are_let_go(self, service: Client) -> None:
        """At once, and without a line."""
        assert await self.ask(service) == b""
        assert await self.ask(service, b"\r\n") == b""
