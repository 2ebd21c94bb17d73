"""Authentication, attacked through the running service: who doesn't belong gets nothing done."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from service.devices.replay import LocalReplayMemory
from service.errors import InvalidDevices
from service.http.app import create_app
from service.http.keys import CURRENT
from service.http.routes import DOCUMENT_PATHS, OPEN_PATHS, REST_PATHS
from service.settings import Settings
from service.timings import Timings
from service.values import DEFAULT_GALLERY
from service.vision.engine import Engine
from tests.conftest import MODELS, Start
from tests.devices.test_signatures import text
from tests.support.device import Client
from tests.support.server import AppServer
from tests.support.signing import OLD_SECRET, OTHER_SECRET, SECRET, Signed, answer, code, devices_file, exchange, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_ITS_OWN = pytest.mark.asyncio(loop_scope="function")
"""For tests that start a service: its loop is theirs."""

REMARK = "Zoë & co"


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A service that lets in only the devices of tests/support/signing.py."""
    folder = tmp_path_factory.mktemp("locked")
    path = devices_file(folder / "devices.toml")
    return Settings(data=folder / "data", model_dir=MODELS, model="casia-webface", devices=path)


@pytest_asyncio.fixture(loop_scope="module")
async def port(service: Client) -> int:
    """The module's service, without faces."""
    gallery = await service.app[CURRENT].opened.galleries.of(DEFAULT_GALLERY)
    for face in [each async for each in gallery.list()]:
        await gallery.remove(face.face_id, Timings())
    assert service.port is not None
    return service.port


@pytest.fixture
def photo(portraits: dict[str, bytes]) -> bytes:
    return portraits["obama"]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The photos that reached the engine, whose first step is the decoder."""
    seen: list[bytes] = []
    faces = Engine.observe

    async def watched(engine: Engine, photo: bytes, *arguments: Any, **options: Any) -> Any:
        seen.append(photo)
        return await faces(engine, photo, *arguments, **options)

    monkeypatch.setattr(Engine, "observe", watched)
    return seen


def registration(photo: bytes, **options: Any) -> Signed:
    return signed("POST", "/registration_face", photo, query={"remark": REMARK}, **options)


def now() -> int:
    return int(time.time())


def forged(request: Signed, signature: Callable[[str], str]) -> Signed:
    """With a signature that follows from the string that should be signed."""
    path, _, query = request.target.partition("?")
    names = ("X-Device-Id", "X-Timestamp", "X-Nonce", "X-Content-SHA256")
    lines = ["v1", request.method, path, query, *(request.header(name) for name in names)]
    return request.having("X-Signature", signature("\n".join(lines)))


def under(secret: str) -> Callable[[str], str]:
    return lambda canonical: hmac.new(secret.encode(), canonical.encode(), hashlib.sha256).hexdigest()


def flipped(signature: str) -> str:
    return signature[:31] + ("0" if signature[31] != "0" else "1") + signature[32:]


def sha256(photo: bytes) -> str:
    return hashlib.sha256(photo).hexdigest()


def query(request: Signed, text: str) -> Signed:
    return request.but(target=f"/registration_face{text}")


Attack = Callable[[Signed], Signed]
"""What is made of a good registration by door-7 before it is sent."""

UNKNOWN: dict[str, Attack] = {
    "no headers": lambda good: good.but(headers=()),
    "no device": lambda good: good.having("X-Device-Id"),
    "an empty device": lambda good: good.having("X-Device-Id", ""),
    "two devices": lambda good: good.having("X-Device-Id", "door-7", "other"),
    "the same device twice": lambda good: good.having("X-Device-Id", "door-7", "door-7"),
    "an unknown device": lambda good: registration(good.photo, device="door-8"),
    "an unknown device with a known secret": lambda good: registration(good.photo, device="door-70"),
    "the device in capitals": lambda good: registration(good.photo, device="DOOR-7"),
    "a disabled device": lambda good: registration(good.photo, device="stolen"),
    "a device named by a pattern": lambda good: good.having("X-Device-Id", "*"),
    "a device behind a space within": lambda good: good.having("X-Device-Id", "door-7 other"),
    "a device that may not register": lambda good: registration(good.photo, device="terminal"),
}
"""Answered 1003."""

FORGED: dict[str, Attack] = {
    **{
        f"no {name}": lambda good, name=name: good.having(name)  # type: ignore[misc]
        for name in ("X-Timestamp", "X-Nonce", "X-Content-SHA256", "X-Signature")
    },
    **{
        f"{name} twice": lambda good, name=name: good.having(name, good.header(name), good.header(name))  # type: ignore[misc]
        for name in ("X-Timestamp", "X-Nonce", "X-Content-SHA256", "X-Signature")
    },
    "a time that is no number": lambda good: good.having("X-Timestamp", "now"),
    "a time with a fraction": lambda good: registration(good.photo, timestamp=f"{now()}.0"),
    "a time with a sign": lambda good: registration(good.photo, timestamp=f"+{now()}"),
    "a time beyond all numbers": lambda good: registration(good.photo, timestamp="9" * 5000),
    "a stale time": lambda good: registration(good.photo, timestamp=now() - 302),
    "a time in the future": lambda good: registration(good.photo, timestamp=now() + 305),
    "the beginning of time": lambda good: registration(good.photo, timestamp="0"),
    "milliseconds for seconds": lambda good: registration(good.photo, timestamp=now() * 1000),
    "another time than was signed": lambda good: good.having("X-Timestamp", str(int(good.header("X-Timestamp")) + 1)),
    "a short nonce": lambda good: registration(good.photo, nonce="n" * 15),
    "a long nonce": lambda good: registration(good.photo, nonce="n" * 65),
    "a nonce of other characters": lambda good: registration(good.photo, nonce="nonce!0123456789"),
    "another nonce than was signed": lambda good: good.having("X-Nonce", good.header("X-Nonce")[::-1]),
    "a signature of zeros": lambda good: good.having("X-Signature", "0" * 64),
    "half a signature": lambda good: good.having("X-Signature", good.header("X-Signature")[:32]),
    "a signature and more": lambda good: good.having("X-Signature", good.header("X-Signature") + "00"),
    "an empty signature": lambda good: good.having("X-Signature", ""),
    "a signature in capitals": lambda good: forged(good, lambda text: "A" + under(SECRET)(text)[1:].upper()),
    "a digit flipped": lambda good: good.having("X-Signature", flipped(good.header("X-Signature"))),
    "an unkeyed digest": lambda good: forged(good, lambda text: hashlib.sha256(text.encode()).hexdigest()),
    "a digest with the id as key": lambda good: forged(good, under("door-7")),
    "an empty key": lambda good: forged(good, under("")),
    "another device's secret": lambda good: forged(good, under(OTHER_SECRET)),
    "in the name of another device": lambda good: good.having("X-Device-Id", "other"),
    "another version of the scheme": lambda good: forged(good, lambda text: under(SECRET)("v2" + text[2:])),
    "a line less": lambda good: forged(good, lambda text: under(SECRET)(text.partition("\n")[2])),
    "a last newline": lambda good: forged(good, lambda text: under(SECRET)(text + "\n")),
    "lines joined": lambda good: forged(good, lambda text: under(SECRET)(text.replace("\n", ""))),
    "another method": lambda good: good.but(method="DELETE", target="/delete_registration_face?face_id=1", photo=b""),
    "another path": lambda good: good.but(target="/recognition_face"),
    "the path encoded otherwise": lambda good: good.but(target=good.target.replace("_face?", "%5Fface?")),
    "the path with a slash more": lambda good: good.but(target=f"/{good.target}"),
    "the path with a host": lambda good: good.but(target=f"http://service{good.target}"),
    "another remark": lambda good: query(good, "?remark=Mallory"),
    "no remark": lambda good: query(good, ""),
    "half the remark": lambda good: query(good, "?remark=Zo%C3%AB"),
    "the remark cut by a fragment": lambda good: replace(
        registration(good.photo), target=good.target.replace("%20%26", "#")
    ),
    "a parameter more": lambda good: good.but(target=f"{good.target}&face_id=1"),
    "the remark twice": lambda good: good.but(target=f"{good.target}&remark=Mallory"),
    "another remark first": lambda good: query(good, f"?remark=Mallory&{good.target.partition('?')[2]}"),
    "the remark encoded twice": lambda good: query(good, "?remark=Zo%25C3%25AB%2520%2526%2520co"),
    "another image": lambda good: good.but(photo=good.photo + b"\0"),
    "half the image": lambda good: good.but(photo=good.photo[: len(good.photo) // 2]),
    "another image and its digest": lambda good: good.but(photo=b"x").having("X-Content-SHA256", sha256(b"x")),
    "the digest of another image": lambda good: good.having("X-Content-SHA256", sha256(b"x")),
    "the digest of no image": lambda good: good.having("X-Content-SHA256", sha256(b"")),
    "an image signed as none": lambda good: signed("POST", "/registration_face", query={"remark": REMARK}).but(
        photo=good.photo
    ),
    "another image before the image": lambda good: good.but(fields=(("image", b"x"),)),
    "half a digest": lambda good: good.having("X-Content-SHA256", good.header("X-Content-SHA256")[:32]),
}
"""Answered 1002."""


class TestAttacks:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("attack", "expected"),
        [(attack, 1003) for attack in UNKNOWN.values()] + [(attack, 1002) for attack in FORGED.values()],
        ids=[*UNKNOWN, *FORGED],
    )
    async def test_refused(
        self, port: int, photo: bytes, looked_at: list[bytes], attack: Attack, expected: int
    ) -> None:
        """With the right code, before the decoder; and the good request that it was made of still passes, once."""
        good = registration(photo)
        assert await code(port, attack(good)) == expected
        assert looked_at == []
        assert await code(port, good) == 0
        assert await code(port, good) == 1002
        assert len(looked_at) == 1

    async def test_they_are_many(self) -> None:
        assert len(UNKNOWN) + len(FORGED) >= 60

    async def test_truncated(self, port: int, photo: bytes, looked_at: list[bytes]) -> None:
        """A body that ends early registers nobody, and does not use up the nonce."""
        good = registration(photo)
        wire = good.wire()
        start = wire.index(b"\r\n\r\n") + 4
        for end in (start, start + 50, start + 500, len(wire) - 40):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(wire[:end])
            writer.write_eof()
            await asyncio.sleep(0.05)
            writer.close()
        assert looked_at == []
        assert await code(port, good) == 0

    async def test_replays(self, port: int, photo: bytes, looked_at: list[bytes]) -> None:
        """Of each operation, as it was or differently spelled; and a new nonce makes it a new request."""
        face_id = await registered(port, photo)
        looked_at.clear()
        for method, path, query, image in (
            ("POST", "/registration_face", {"remark": REMARK}, photo),
            ("POST", "/recognition_face", {}, photo),
            ("GET", "/get_registration_face", {"limit": "1", "offset": "0"}, b""),
            ("DELETE", "/delete_registration_face", {"face_id": str(face_id)}, b""),
        ):
            request = signed(method, path, image, query=query)
            assert await code(port, request) == 0
            assert await code(port, request) == 1002
            assert await code(port, request.but(target=request.target.replace("%20", "+"))) == 1002
        assert len(looked_at) == 2

    async def test_one_of_many_at_once(self, port: int, photo: bytes) -> None:
        """The same request sent ten times at the same moment passes exactly once."""
        request = signed("POST", "/recognition_face", photo)
        codes = await asyncio.gather(*(code(port, request) for _ in range(10)))
        assert sorted(codes) == [0] + [1002] * 9

    async def test_nonces_of_others(self, port: int) -> None:
        """Two devices may choose the same one."""
        nonce = f"chosen-by-both-{now()}"
        for device, secret in (("door-7", SECRET), ("other", OTHER_SECRET), ("screen", SECRET)):
            assert await code(port, listing(device=device, secret=secret, nonce=nonce)) == 0

    async def test_nobody_burns_or_fills(self, port: int, service: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hundreds of forged requests, with good nonces, leave nothing in the memory of nonces."""
        asked: list[str] = []

        async def counted(_: LocalReplayMemory, *, device_id: str, nonce: str) -> bool:
            asked.append(nonce)
            return True

        monkeypatch.setattr(LocalReplayMemory, "record", counted)
        good = [listing(nonce=f"burn-{number:020}") for number in range(200)]
        for one in good:
            assert await code(port, one.having("X-Signature", flipped(one.header("X-Signature")))) == 1002
        assert asked == []
        assert await code(port, good[0]) == 0
        assert asked == [good[0].header("X-Nonce")]


def listing(**options: Any) -> Signed:
    return signed("GET", "/get_registration_face", **options)


async def registered(port: int, photo: bytes) -> int:
    """The face_id of a face registered now."""
    assert await code(port, registration(photo)) == 0
    faces = (await answer(port, listing().wire()))["data"]["all_face"]
    return int(faces[-1]["face_id"])


class TestDenyByDefault:
    async def test_every_path(self, service: Client, port: int) -> None:
        """Each route that there is refuses who doesn't sign, and so does what isn't there; but what is open."""
        routes = [(route.method, route.resource) for route in service.app.router.routes()]
        paths = {(method, resource.canonical) for method, resource in routes if resource is not None}
        assert len(paths) > len(OPEN_PATHS)
        for method, path in paths | {("POST", "/"), ("GET", "/healthz/x"), ("POST", "/healthz"), ("GET", "/v1/faces")}:
            path = path.replace("{file}", "main.js")  # noqa: PLW2901 - a file that there is
            if path in OPEN_PATHS | DOCUMENT_PATHS | {"/", "/console/main.js"} and method in ("GET", "HEAD"):
                head, _ = await exchange(
                    port, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
                )
                assert head.startswith(b"HTTP/1.1 200 ")
            elif path in REST_PATHS:
                head, _ = await exchange(port, Signed(method, re.sub(r"{\w+}", "1", path), ()).wire())
                assert head.startswith(b"HTTP/1.1 401 ")
            else:
                assert await code(port, Signed(method, path, ())) == 1003

    @pytest.mark.slow
    async def test_a_path_that_no_device_may_use(self, settings: Settings, tmp_path: Path) -> None:
        """One that is added, and that nobody has decided about, stays shut even for a good signature."""
        app = create_app(replace(settings, devices=devices_file(tmp_path / "devices.toml")))

        async def new(_: web.Request) -> web.Response:
            return web.Response()

        app.router.add_get("/new", new)
        async with AppServer(app) as server:
            assert await code(server.port or 0, signed("GET", "/new")) == 1003

    async def test_unknown_paths(self, port: int) -> None:
        """Who signs is told that there is no such path."""
        assert await code(port, signed("GET", "/nowhere")) == 1000
        assert await code(port, signed("PUT", "/recognition_face")) == 1000


class TestOperations:
    async def test_only_what_the_device_may(self, port: int, photo: bytes, looked_at: list[bytes]) -> None:
        """The rest is 1003 with a sentence that names it, deletion by either path among it."""
        face_id = {"face_id": str(await registered(port, photo))}
        looked_at.clear()
        requests = {
            "register": ("POST", "/registration_face", {"remark": REMARK}, photo),
            "recognise": ("POST", "/recognition_face", {}, photo),
            "list": ("GET", "/get_registration_face", {}, b""),
            "delete": ("DELETE", "/delete_registration_face", face_id, b""),
            "delete ": ("GET", "/get_registration_face", face_id, b""),
        }
        for device, allowed in (("terminal", "recognise"), ("screen", "list")):
            for operation, (method, path, query, image) in requests.items():
                said = await answer(port, signed(method, path, image, device, query=query).wire())
                if operation == allowed:
                    assert said["code"] == 0
                else:
                    assert said["code"] == 1003
                    assert f"may not {operation.strip()};" in said["detail"]
        assert len(looked_at) == 1
        assert len((await answer(port, listing().wire()))["data"]["all_face"]) == 1

    async def test_a_stranger_does_not_learn_it(self, port: int, photo: bytes) -> None:
        """What a device may do is told to who can sign for it."""
        good = signed("POST", "/registration_face", photo, "terminal")
        assert await code(port, good.having("X-Signature", "0" * 64)) == 1002


class TestRemarks:
    async def test_a_remark_in_the_form_is_refused(self, port: int, photo: bytes, looked_at: list[bytes]) -> None:
        """It isn't signed: who carries the request could change it. The sentence says where it belongs."""
        request = signed("POST", "/registration_face", photo).but(fields=(("remark", b"Mallory"),))
        said = await answer(port, request.wire())
        assert said["code"] == 1001
        assert "?remark=" in said["detail"]
        assert looked_at == []

    async def test_beside_a_signed_one_it_counts_nothing(self, port: int, photo: bytes) -> None:
        assert await code(port, registration(photo).but(fields=(("remark", b"Mallory"),))) == 0
        (face,) = (await answer(port, listing().wire()))["data"]["all_face"]
        assert face["remark"] == REMARK

    @pytest.mark.slow
    async def test_any_remark(self, port: int, photo: bytes) -> None:
        """A sample of the 10,000 of test_auth.py, through the whole service: what was signed is what is kept."""
        chance = random.Random(8)
        remarks = {each for each in (text(chance) for _ in range(40)) if each}
        for remark in remarks:
            assert await code(port, signed("POST", "/registration_face", photo, query={"remark": remark})) == 0
        faces = (await answer(port, listing().wire()))["data"]["all_face"]
        assert {face["remark"] for face in faces} == remarks
        assert await code(port, signed("POST", "/registration_face", photo, query={"remark": ""})) == 1001


class TestLetIn:
    async def test_either_secret(self, port: int) -> None:
        """The older one too, while devices are given new ones."""
        assert await code(port, listing(secret=SECRET)) == 0
        assert await code(port, listing(secret=OLD_SECRET)) == 0

    async def test_clocks_that_are_a_little_off(self, port: int) -> None:
        for off in (-295, 295):
            assert await code(port, listing(timestamp=now() + off)) == 0

    async def test_a_digest_in_capitals(self, port: int) -> None:
        """Hexadecimal digits are so written by some firmware; it is signed as it is written."""
        request = listing().having("X-Content-SHA256", sha256(b"").upper())
        assert await code(port, forged(request, under(SECRET))) == 0

    async def test_a_drifted_clock_can_be_set(self, port: int) -> None:
        """By the `Date` of the refusal."""
        head, _ = await exchange(port, listing(timestamp=now() - 4000).wire())
        (date,) = [line for line in head.decode().split("\r\n") if line.startswith("Date: ")]
        told = int(parsedate_to_datetime(date.removeprefix("Date: ")).timestamp())
        assert abs(told - now()) <= 2
        assert await code(port, listing(timestamp=told)) == 0

    async def test_who_registered_is_kept_and_logged(
        self, service: Client, port: int, photo: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The device's id is in the face's payload and in the log line; its secret nowhere."""
        caplog.set_level(logging.DEBUG)
        await registered(port, photo)
        gallery = await service.app[CURRENT].opened.galleries.of(DEFAULT_GALLERY)
        assert [face.device_id async for face in gallery.list()] == ["door-7"]
        lines = [vars(record) for record in caplog.records if record.message == "request"]
        assert [line["device_id"] for line in lines] == ["door-7"] * 2
        assert not any(secret in str(vars(record)) for record in caplog.records for secret in (SECRET, OLD_SECRET))


@OF_ITS_OWN
class TestLimits:
    """Of the door, each in a service of its own."""

    @pytest.mark.slow
    async def test_requests_a_minute(self, start: Start, settings: Settings, tmp_path: Path, photo: bytes) -> None:
        """A device over its limit is told when to come again; others are not, and refused requests don't count."""
        path = devices_file(tmp_path / "devices.toml")
        port = (await start(replace(settings, devices=path, device_rate=3))).port or 0
        good = listing()
        for _ in range(5):
            assert await code(port, good.having("X-Signature", "0" * 64)) == 1002
        for request, replayed in ((good, 1002), (listing(), 1002), (signed("POST", "/recognition_face", photo), 1004)):
            assert await code(port, request) == 0
            assert await code(port, good) == replayed
        said = await answer(port, signed("POST", "/recognition_face", photo).wire())
        assert said["code"] == 1005
        assert "door-7 may make 3 requests a minute; try again in " in said["detail"]
        assert await code(port, listing()) == 1004
        assert await code(port, listing(device="other", secret=OTHER_SECRET)) == 0

    @pytest.mark.slow
    async def test_time_to_receive(self, start: Start, settings: Settings, photo: bytes) -> None:
        """A head or a body that trickles in is given up, and says why where there is a request to answer."""
        port = (await start(replace(settings, receive_s=1))).port or 0
        began = time.monotonic()
        head, body = await exchange(port, b"GET /get_registration_face HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert (head, body) == (b"", b"")
        assert 1 <= time.monotonic() - began < 5
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(Signed("POST", "/recognition_face", (), photo).wire()[:-100])
            said = await reader.readuntil(b'"data": {}}')
            writer.close()
        assert b'"code": 1001' in said
        assert b"over 1 s" in said

    @pytest.mark.slow
    async def test_body_size(self, start: Start, settings: Settings, photo: bytes, looked_at: list[bytes]) -> None:
        """The image stops at its limit, other parts at four times as much and a megabyte; nothing is kept of them."""
        port = (await start(replace(settings, max_bytes=len(photo)))).port or 0
        fits = Signed("POST", "/recognition_face", (), photo)
        assert await code(port, fits) == 0
        assert await code(port, fits.but(photo=photo + b"\0")) == 1005
        assert await code(port, fits.but(fields=(("video", bytes(2**20)),))) == 0
        looked_at.clear()
        too_large = ("video", bytes(4 * len(photo) + 2**20 + 1))
        assert await code(port, fits.but(fields=(too_large,))) == 1001
        assert looked_at == []


class TestHeads:
    """What is settled before a body comes."""

    async def test_head_and_query_size(self, port: int) -> None:
        """Beyond them the answer is 1001, and a query that is too long to be signed 1002; the service goes on."""
        for target, headers in (
            (f"/get_registration_face?{'x' * 70_000}", ()),
            ("/get_registration_face", (("X-Large", "x" * 9000),)),
            ("/get_registration_face", tuple((f"X-{number}", "x") for number in range(200))),
        ):
            _, body = await exchange(port, Signed("GET", target, headers).wire())
            assert json.loads(body)["code"] == 1001
        assert await code(port, listing()) == 0
        assert await code(port, listing(query={"x": "y" * 30_000})) == 1002
        assert await code(port, listing(query={"x": "y" * 16_000})) == 0

    async def test_the_body_is_not_asked_for(self, port: int, photo: bytes) -> None:
        """Who asks first whether to send it (curl does) hears the refusal instead; who may, is told to go on."""
        for request, first in (
            (registration(photo), b"HTTP/1.1 100 Continue"),
            (registration(photo, secret=OTHER_SECRET), b"HTTP/1.1 200 OK"),
        ):
            head, _, body = request.having("Expect", "100-continue").wire().partition(b"\r\n\r\n")
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head + b"\r\n\r\n")
                assert (await reader.readline()).strip() == first
                writer.write(body)
                assert (b'"code": 0' in await reader.read()) is (first != b"HTTP/1.1 200 OK")
                writer.close()


@OF_ITS_OWN
class TestStart:
    @pytest.mark.slow
    async def test_a_file_that_cant_be_used(self, start: Start, settings: Settings, tmp_path: Path) -> None:
        """Nobody is let in by mistake: the service doesn't start."""
        for path in (tmp_path / "none.toml", devices_file(tmp_path / "open.toml", mode=0o644)):
            with pytest.raises(InvalidDevices):
                await start(replace(settings, devices=path))
