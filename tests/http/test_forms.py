"""Forms as devices send them and as they should not: read once, part by part, and never a reason to fail unforeseen."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator

import pytest
from aiohttp import FormData

from tests.support.device import BOUNDARY, Client, Device, form, multipart, register_path, variants

pytestmark = pytest.mark.asyncio(loop_scope="module")

REGISTER = register_path("test")
IMAGE = 'Content-Disposition: form-data; name="image"'
HEAD = f"--{BOUNDARY}\r\n".encode()
END = f"--{BOUNDARY}--\r\n".encode()


class TestReadable:
    @pytest.mark.slow
    async def test_in_chunks(self, device: Device, portraits: dict[str, bytes]) -> None:
        """A body of unknown length, cut anywhere: within the boundary, a part's head, the photo."""
        body = multipart(("remark", "chunks 張".encode()), ("image", portraits["obama"]))

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body["data"]), 37):
                yield body["data"][start : start + 37]

        await device.succeeds("POST", "/registration_face", data=pieces(), headers=body["headers"])
        assert await device.remarks() == ["chunks 張"]

    async def test_other_parts_are_ignored(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Before, between and after: text, files, parts without a name, a large one."""
        extra = [("note", b"x"), ("video", bytes(300_000)), ("Content-Type: text/plain", b"no name"), ("token", b"")]
        parts = [*extra, ("image", portraits["obama"]), *extra, ("remark", b"test"), *extra]
        await device.succeeds("POST", "/registration_face", **multipart(*parts))
        assert await device.remarks() == ["test"]

    async def test_a_part_larger_than_a_photo_may_be(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Nobody keeps what nobody wants."""
        data = form(portraits["obama"])
        data.add_field("video", io.BytesIO(bytes(12 * 2**20)))
        await device.succeeds("POST", REGISTER, data=data)

    async def test_the_first_of_a_kind_counts(self, device: Device, portraits: dict[str, bytes]) -> None:
        parts = [("image", portraits["obama"]), ("image", b"no photo"), ("remark", b"first"), ("remark", b"second")]
        await device.succeeds("POST", "/registration_face", **multipart(*parts))
        assert await device.remarks() == ["first"]

    @pytest.mark.parametrize(
        "head",
        [
            "Content-Disposition: form-data; name=image",
            'content-disposition: FORM-DATA; NAME="image"; filename="a b.jpg"',
            f"{IMAGE}; filename=\"\"; filename*=UTF-8''%e5%bc%b5.jpg",
            f"{IMAGE}\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary",
            f"{IMAGE}\r\nContent-Length: 3",
        ],
    )
    async def test_heads_of_all_clients(self, device: Device, portraits: dict[str, bytes], head: str) -> None:
        """As browsers, Java's and .NET's clients write them, also with a length that is wrong."""
        await device.succeeds("POST", REGISTER, **multipart((head, portraits["obama"])))

    @pytest.mark.parametrize("boundary", ["x", "'()+_,-./:=? quoted", "-" * 70])
    async def test_boundaries(self, device: Device, portraits: dict[str, bytes], boundary: str) -> None:
        body = multipart(("image", portraits["obama"]))["data"].replace(BOUNDARY.encode(), boundary.encode())
        headers = {"Content-Type": f'Multipart/Form-Data; charset=utf-8; Boundary="{boundary}"'}
        await device.succeeds("POST", REGISTER, data=body, headers=headers)

    async def test_text_around_the_parts(self, device: Device, portraits: dict[str, bytes]) -> None:
        """A preamble and an epilogue, which the format allows."""
        body = multipart(("image", portraits["obama"]))
        body["data"] = b"a preamble\r\n" + body["data"] + b"an epilogue"
        await device.succeeds("POST", REGISTER, **body)

    async def test_expect_continue(self, device: Device, portraits: dict[str, bytes]) -> None:
        """curl asks before it sends a large photo."""
        await device.succeeds("POST", REGISTER, data=form(portraits["obama"]), expect100=True)

    @pytest.mark.slow
    async def test_photos_that_look_like_boundaries(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Bytes after the picture's end that nearly are a boundary stay part of the photo."""
        for tail in (b"\r\n--fron", b"\r\n--", b"\r", b"\r\n", b"--frontier--", b"\n--frontier\r\n"):
            await device.succeeds("POST", REGISTER, **multipart(("image", portraits["obama"] + tail)))
        assert len(await device.faces()) == 6


class TestUnreadable:
    @pytest.mark.parametrize(
        "content_type",
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=other",
            f"multipart/form-data; boundary={'x' * 71}",
            "multipart/form-data; boundary=\u00e9",
            f"multipart/mixed; boundary={BOUNDARY}",
            "application/x-www-form-urlencoded",
            "application/json",
            "image/jpeg",
            ";;;",
            "",
        ],
    )
    async def test_another_type_or_boundary(
        self, device: Device, portraits: dict[str, bytes], content_type: str
    ) -> None:
        body = multipart(("image", portraits["obama"]))["data"]
        for path in (REGISTER, "/recognition_face"):
            await device.fails(1001, "POST", path, data=body, headers={"Content-Type": content_type})

    async def test_no_body(self, device: Device) -> None:
        for path in (REGISTER, "/recognition_face"):
            await device.fails(1001, "POST", path)
            await device.fails(1001, "POST", path, **multipart(end=b""))
            await device.fails(1001, "POST", path, **multipart())

    async def test_cut_anywhere(self, device: Device, portraits: dict[str, bytes]) -> None:
        """The first bytes of a form, however many, are answered at once: never 999 and never a hang.

        Where only of the last boundary something is missing, the form is read.
        """
        body = multipart(("remark", b"test"), ("image", portraits["obama"]))
        whole = body["data"]
        in_photo = whole.index(portraits["obama"]) + 1
        for length in [*range(1, in_photo, 3), in_photo, 1000, len(whole) - 30]:
            expected = 1001 if length < in_photo else 1004
            await device.fails(expected, "POST", REGISTER, data=whole[:length], headers=body["headers"])
        assert await device.faces() == []
        for length in range(len(whole) - len(f"\r\n--{BOUNDARY}--\r\n"), len(whole)):
            await device.succeeds("POST", REGISTER, data=whole[:length], headers=body["headers"])
        assert len(await device.faces()) == 1

    @pytest.mark.parametrize(
        "data",
        [
            HEAD + b"Content-Disposition\r\n\r\nx\r\n" + END,
            HEAD + b"Content\x00Disposition: x\r\n\r\nx\r\n" + END,
            HEAD + b": x\r\n\r\nx\r\n" + END,
            HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\nx\r\n" + END,
            HEAD + b"X: x\r\n" * 10_000 + b"\r\nx\r\n" + END,
            HEAD + b'Content-Disposition: form-data; name="_charset_"\r\n\r\nlatin-1\r\n' + END,
            HEAD + b'Content-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 100 + b"\r\n" + END,
            HEAD + b"Content-Type: multipart/mixed\r\n\r\nx\r\n" + END,
            HEAD + b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\nx\r\n--in--\r\n" + END,
            (HEAD + b"\r\nx\r\n") * 1000 + END,
            HEAD * 1000,
            b"\x00" * 100_000,
            b"\r\n" * 1000,
        ],
        ids=range(13),
    )
    async def test_broken_parts(self, device: Device, data: bytes) -> None:
        await device.fails(1001, "POST", REGISTER, data=data, headers=multipart()["headers"])

    @pytest.mark.parametrize("disposition", ["", "form-data", "form-data; filename=image", "attachment; image"])
    async def test_parts_without_a_name(self, device: Device, portraits: dict[str, bytes], disposition: str) -> None:
        parts = multipart((f"Content-Disposition: {disposition}", portraits["obama"]))
        detail = await device.fails(1001, "POST", REGISTER, **parts)
        assert "`image`" in detail
        assert "no name=" in detail

    async def test_bodies_that_are_not_what_they_say(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Compressed, or said to be so: refused before it is read."""
        body = multipart(("image", portraits["obama"]))
        compressed = gzip.compress(bytes(5_000_000))
        for encoding in ("gzip", "deflate", "br", "zstd", "x"):
            for data in (body["data"], compressed):
                headers = {**body["headers"], "Content-Encoding": encoding, "Connection": "close"}
                detail = await device.fails(1001, "POST", REGISTER, data=data, headers=headers)
                assert "Content-Encoding" in detail
        headers = {**body["headers"], "Content-Encoding": "identity"}
        await device.succeeds("POST", REGISTER, data=body["data"], headers=headers)

    async def test_a_photo_in_a_text_field(self, device: Device) -> None:
        """A remark as large as a photo is refused before all of it has come."""
        data = FormData({"remark": "x" * 2**20}, default_to_multipart=True)
        assert "1024" in await device.fails(1001, "POST", "/registration_face", data=data)


class TestClientsThatLeave:
    @pytest.mark.slow
    async def test_in_the_middle(
        self, service: Client, device: Device, portraits: dict[str, bytes], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Uploads that stop anywhere leave no face, no error in the log, and room for the next."""
        head = (
            f"POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        ).encode()
        whole = head + multipart(("image", portraits["obama"]))["data"]
        for length in (10, len(head) - 2, len(head), len(head) + 5, len(head) + 70, len(head) + 3000):
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(whole[:length])
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.transport.abort()
        await asyncio.sleep(0.1)
        assert await device.faces() == []
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []
        await device.register(portraits["obama"], "next")

    @pytest.mark.slow
    async def test_before_the_answer(self, service: Client, device: Device, portraits: dict[str, bytes]) -> None:
        """Whoever leaves without waiting may be registered or not, and disturbs nobody."""

        async def impatient(photo: bytes) -> None:
            body = multipart(("image", photo))["data"]
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(
                f"POST {register_path('left')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
            writer.close()

        photos = list(variants(portraits["obama"], 10))
        await asyncio.gather(*(impatient(photo) for photo in photos))
        await asyncio.gather(*(device.register(photo, "stayed") for photo in photos))
        remarks = await device.remarks()
        assert remarks.count("stayed") == 10
        assert remarks.count("left") <= 10
