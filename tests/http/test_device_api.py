"""The device contract, row by row: what devices send and what they get, to the letter."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientPayloadError, FormData
from numpy.typing import NDArray
from PIL import Image

from service.settings import Settings
from tests.http.conftest import break_lists_off
from tests.support.device import Client, Device, form, jpeg, multipart, picture, register_path, variants

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = {
    "/registration_face": {"POST"},
    "/recognition_face": {"POST"},
    "/get_registration_face": {"GET"},
    "/delete_registration_face": {"GET", "POST", "DELETE"},
}
"""The contract's, each with its methods."""

REMARKS = {
    "plain": "test",
    "chinese": "张三, 研发部",
    "right to left": "שלום \u202eمرحبا",
    "combining": "e\u0301\u0323 \u1100\u1161\u11a8 Å≠Å",
    "emoji": "👩🏽‍🚀🏳️‍🌈",
    "quotes": '"\'`\\" <b>&amp;</b> {"remark": null} $(id)',
    "controls": "\x00\x01\x1f\x7f\x85\u2028\ufeff",
    "lines": "a\r\nb\nc\rd\r\n",
    "reserved": "a+b%2Bc&d=e;f#g?h/100%",
    "spaces": "  padded\t ",
    "number": "007",
    "every plane": "".join(chr(plane * 0x10000 + offset) for plane in range(17) for offset in (0x1234, 0xFFFD, 0xFFFF)),
    "longest": "長" * 1024,
    "longest, widest": "\U0001f600" * 1024,
}


class TestRegister:
    async def test_answers_empty_data(self, device: Device, portraits: dict[str, bytes]) -> None:
        """`"data": {}`, and the face is there."""
        await device.register(portraits["obama"], "test")
        assert await device.remarks() == ["test"]

    @pytest.mark.slow
    @pytest.mark.parametrize("name", REMARKS)
    async def test_any_remark_comes_back_as_it_came(
        self, device: Device, portraits: dict[str, bytes], name: str
    ) -> None:
        """From the query and from the form's field, in recognition and in the list."""
        remark = REMARKS[name]
        await device.register(portraits["obama"], remark)
        assert [match["remark"] for match in await device.recognise(portraits["obama"])] == [remark]
        await device.delete_all()
        parts = multipart(("remark", remark.encode()), ("image", portraits["obama"]))
        assert await device.succeeds("POST", "/registration_face", **parts) == {}
        assert await device.remarks() == [remark]

    async def test_the_querys_remark_wins(self, device: Device, portraits: dict[str, bytes]) -> None:
        data = form(portraits["obama"])
        data.add_field("remark", "field")
        await device.succeeds("POST", "/registration_face?remark=query", data=data)
        assert await device.remarks() == ["query"]

    async def test_a_plus_in_the_query_is_a_space(self, device: Device, portraits: dict[str, bytes]) -> None:
        """As every form encodes it; a plus itself comes as %2B."""
        await device.succeeds("POST", "/registration_face?remark=a+b%2Bc", data=form(portraits["obama"]))
        assert await device.remarks() == ["a b+c"]

    async def test_the_same_photo_and_remark_add_nothing(self, device: Device, portraits: dict[str, bytes]) -> None:
        """The first registration stays, its number included."""
        await device.register(portraits["obama"], "test")
        before = await device.faces()
        await device.register(portraits["obama"], "test")
        assert await device.faces() == before

    async def test_another_remark_or_photo_adds(self, device: Device, portraits: dict[str, bytes]) -> None:
        await device.register(portraits["obama"], "first")
        await device.register(portraits["obama"], "second")
        await device.register(portraits["obama2"], "first")
        assert await device.remarks() == ["first", "second", "first"]

    async def test_a_deleted_face_can_be_registered_again(self, device: Device, portraits: dict[str, bytes]) -> None:
        await device.register(portraits["obama"], "test")
        await device.delete_all()
        await device.register(portraits["obama"], "test")
        assert await device.remarks() == ["test"]

    @pytest.mark.slow
    async def test_the_largest_of_several_faces_counts(self, device: Device, portraits: dict[str, bytes]) -> None:
        """It is registered, and it is looked up."""
        for larger, smaller in (("obama", "biden"), ("biden", "obama")):
            await device.delete_all()
            await device.register(portraits["obama"], "obama")
            await device.register(portraits["biden"], "biden")
            both = side_by_side(portraits[larger], portraits[smaller])
            assert [match["remark"] for match in await device.recognise(both)] == [larger, smaller]
            await device.delete_all()
            await device.register(both, "both")
            await device.register(portraits[smaller], "the smaller one")
            assert next(match["remark"] for match in await device.recognise(portraits[larger])) == "both"

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("filename", "content_type"),
        [("1.jpg", "image/jpeg"), ("photo", "application/octet-stream"), ("../../x.png", "image/png"), ("", None)],
    )
    async def test_a_parts_file_name_and_type_do_not_matter(
        self, device: Device, portraits: dict[str, bytes], filename: str, content_type: str | None
    ) -> None:
        """What is in the part counts, not what a device calls it."""
        await device.succeeds("POST", register_path("test"), data=form(portraits["obama"], filename, content_type))
        assert await device.remarks() == ["test"]

    @pytest.mark.slow
    async def test_other_formats(self, device: Device, portraits: dict[str, bytes]) -> None:
        """PNG, BMP, GIF, TIFF and WebP are registered and found like a JPEG."""
        for format_name in ("PNG", "BMP", "GIF", "TIFF", "WEBP"):
            out = io.BytesIO()
            Image.open(io.BytesIO(portraits["obama"])).save(out, format_name)
            await device.register(out.getvalue(), format_name)
        assert len(await device.recognise(portraits["obama"])) == 5

    @pytest.mark.slow
    async def test_a_face_id_suits_every_json_client(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Device.faces checks each: a whole number from 1 to 2^53 - 1, none twice."""
        for number in range(8):
            await device.register(portraits["obama"], str(number))
        assert len(await device.faces()) == 8


class TestPicture:
    @pytest.mark.slow
    async def test_is_upright_small_and_without_metadata(self, device: Device, photos: Path) -> None:
        """A phone's photo, stored lying on its side with its place and time, comes back upright without them."""
        with Image.open(photos / "obama.jpg") as photo:
            upright = photo.convert("RGB").crop((0, 0, photo.width, photo.height * 3 // 4))
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "a maker that must not come back"  # to be turned by 90° clockwise
        exif.get_ifd(0x8825)[1] = "N"
        sent = jpeg(
            upright.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95, comment=b"a comment", dpi=(72, 72)
        )
        await device.register(sent, "test")
        for text in (
            (await device.faces())[0]["picture"],
            (await device.recognise(sent))[0]["picture"],
        ):
            came = picture(text)
            assert max(came.size) == 480
            assert came.width / came.height == pytest.approx(upright.width / upright.height, rel=0.01)
            assert not came.getexif()
            assert set(came.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            assert np.abs(coarse(came) - coarse(upright)).max() < 16

    @pytest.mark.slow
    async def test_is_never_made_larger(self, device: Device, portraits: dict[str, bytes]) -> None:
        await device.register(portraits["obama"], "test")
        sent = Image.open(io.BytesIO(portraits["obama"]))
        assert picture((await device.faces())[0]["picture"]).size == sent.size

    @pytest.mark.slow
    async def test_its_side_is_a_setting(self, strict: Device, portraits: dict[str, bytes]) -> None:
        await strict.register(portraits["obama"], "test")
        assert max(picture((await strict.faces())[0]["picture"]).size) == 100


class TestRecognise:
    @pytest.mark.slow
    async def test_none_registered(self, device: Device, portraits: dict[str, bytes]) -> None:
        assert await device.recognise(portraits["obama"]) == []

    @pytest.mark.slow
    async def test_one_registered(self, device: Device, portraits: dict[str, bytes]) -> None:
        """However little it resembles: no threshold applies by itself."""
        await device.register(portraits["obama"], "test")
        assert [match["remark"] for match in await device.recognise(portraits["biden"])] == ["test"]

    @pytest.mark.slow
    async def test_the_five_best_of_more_best_first(self, device: Device, portraits: dict[str, bytes]) -> None:
        """The photo itself, then the same man, then the others."""
        for name, photo in portraits.items():
            await device.register(photo, name)
        await device.register(portraits["biden"], "biden again")
        found = [match["remark"] for match in await device.recognise(portraits["obama2"])]
        assert len(found) == 5
        assert found[0] == "obama2"
        assert set(found[:3]) == {"obama", "obama2", "obama3"}
        listed = {face["remark"]: face["picture"] for face in await device.faces()}
        for match in await device.recognise(portraits["obama2"]):
            assert match["picture"] == listed[match["remark"]]

    @pytest.mark.slow
    async def test_needs_and_stores_nothing_else(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Parameters are ignored, and looking somebody up doesn't register them."""
        await device.succeeds("POST", "/recognition_face?remark=x&limit=1", data=form(portraits["obama"]))
        assert await device.faces() == []

    @pytest.mark.slow
    async def test_threshold(self, strict: Device, portraits: dict[str, bytes]) -> None:
        """An operator's threshold leaves out who is less similar, down to nobody."""
        for name in ("obama", "obama2", "biden"):
            await strict.register(portraits[name], name)
        assert [match["remark"] for match in await strict.recognise(portraits["biden"])] == ["biden"]
        assert await strict.recognise(portraits["astronaut"]) == []


class TestRecogniseOnRequest:
    """What the query may ask for; without it the answer is the contract's to the letter."""

    @pytest.mark.slow
    async def test_scores_and_numbers(self, device: Device, portraits: dict[str, bytes]) -> None:
        """The score is what thresholds are compared with; the number deletes the face."""
        for name in ("obama", "obama2", "biden"):
            await device.register(portraits[name], name)
        matches = await device.recognise_as(portraits["obama"], "similarity=yes")
        assert all(set(match) == {"remark", "picture", "score", "face_id"} for match in matches)
        assert [match["remark"] for match in matches] == ["obama", "obama2", "biden"]
        scores = [match["score"] for match in matches]
        assert 1 >= scores[0] > 0.6 > scores[2] > -1
        assert scores == sorted(scores, reverse=True)
        numbers = {face["remark"]: face["face_id"] for face in await device.faces()}
        assert {match["remark"]: match["face_id"] for match in matches} == numbers

    @pytest.mark.slow
    async def test_fewer(self, device: Device, portraits: dict[str, bytes]) -> None:
        for number, photo in enumerate(variants(portraits["obama"], 6)):
            await device.register(photo, str(number))
        for limit in range(1, 6):
            assert len(await device.recognise_as(portraits["obama"], f"limit={limit}")) == limit

    @pytest.mark.slow
    async def test_no_pictures(self, device: Device, portraits: dict[str, bytes]) -> None:
        """The key stays, for firmware that wants it."""
        await device.register(portraits["obama"], "obama")
        assert await device.recognise_as(portraits["obama"], "picture=no") == [{"remark": "obama", "picture": ""}]

    @pytest.mark.slow
    async def test_each_person_once(self, device: Device, portraits: dict[str, bytes]) -> None:
        """With the best of the person's faces; so five places are five people."""
        for name in ("obama", "obama2", "obama3", "biden"):
            await device.register(portraits[name], name.rstrip("23"))
        everyone = await device.recognise_as(portraits["obama3"], "picture=no&group=remark")
        assert [match["remark"] for match in everyone] == ["obama", "biden"]

    @pytest.mark.parametrize(
        ("query", "detail"),
        [
            ("limit=0", "limit must be a whole number from 1 to 5."),
            ("limit=6", "limit must be a whole number from 1 to 5."),
            ("limit=all", "limit must be a whole number from 1 to 5."),
            ("similarity=1", "similarity must be yes or no."),
            ("picture=", "picture must be yes or no."),
            ("group=person", "group must be remark."),
        ],
    )
    async def test_what_cannot_be_asked(
        self, device: Device, portraits: dict[str, bytes], query: str, detail: str
    ) -> None:
        """A device that misspells its wish learns it, rather than miss what it asked for."""
        path = f"/recognition_face?{query}"
        assert await device.fails(1001, "POST", path, data=form(portraits["obama"])) == detail


class TestList:
    @pytest.mark.slow
    async def test_none_registered(self, device: Device) -> None:
        assert await device.faces() == []

    @pytest.mark.slow
    async def test_pages(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Oldest first; `limit` and `offset` cut the same list anywhere, also beyond its end."""
        for number, photo in enumerate(variants(portraits["obama"], 7)):
            await device.register(photo, str(number))
        everyone = [str(number) for number in range(7)]
        assert await device.remarks() == everyone
        for offset, limit in ((0, 0), (0, 3), (3, 3), (6, 3), (7, 1), (100, 5), (0, 2**53 - 1), (2**53 - 1, 1)):
            assert await device.remarks(f"?limit={limit}&offset={offset}") == everyone[offset : offset + limit]
        assert await device.remarks("?limit=2") == everyone[:2]
        assert await device.remarks("?offset=5") == everyone[5:]
        assert await device.remarks("?unknown=5") == everyone

    async def test_is_written_as_it_is_read(self, device: Device, portraits: dict[str, bytes]) -> None:
        """A small one with its length; a long one in chunks, for nobody knows its length before it ends."""
        for number, photo in enumerate(variants(portraits["obama"], 12)):
            await device.register(photo, f"{number}")
        async with device.http.get("/get_registration_face?limit=1") as response:
            assert int(response.headers["Content-Length"]) == len(await response.read())
        async with device.http.get("/get_registration_face") as response:
            assert response.headers["Transfer-Encoding"] == "chunked"
        assert await device.remarks() == [f"{number}" for number in range(12)]

    @pytest.mark.slow
    async def test_for_http_1_0(self, service: Client, device: Device, portraits: dict[str, bytes]) -> None:
        """Its end is marked even for a client that keeps the connection: by a length, or by the connection's end."""
        for number, photo in enumerate(variants(portraits["obama"], 12)):
            await device.register(photo, f"{number}")
        for limit, marked in ((1, b"Content-Length"), (12, b"Connection: close")):
            sent = f"GET /get_registration_face?limit={limit} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(sent.encode())
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await (reader.read() if limit > 1 else reader.readuntil(b"]}}"))
            writer.close()
            assert marked in head or (limit > 1 and b"keep-alive" not in head.lower())
            assert len(json.loads(body)["data"]["all_face"]) == limit

    @pytest.mark.slow
    async def test_pages_behind_a_face(self, device: Device, portraits: dict[str, bytes]) -> None:
        """None is skipped while others are deleted, unlike by `offset`; a face that is gone has no place any more."""
        for number, photo in enumerate(variants(portraits["obama"], 6)):
            await device.register(photo, f"{number}")
        first = await device.faces("?limit=3")
        for face in first[:2]:
            await device.delete(face["face_id"])
        last = first[2]["face_id"]
        assert await device.remarks(f"?limit=2&after={last}") == ["3", "4"]
        assert await device.remarks(f"?after={last}&offset=1") == ["4", "5"]
        gone = await device.fails(1004, "GET", f"/get_registration_face?after={first[0]['face_id']}")
        assert "list from the start" in gone
        for query in ("after=0", "after=x", "after="):
            await device.fails(1001, "GET", f"/get_registration_face?{query}")

    @pytest.mark.parametrize(
        "query", ["limit=-1", "limit=x", "limit=", "limit=1.5", "offset=-1", "offset=9007199254740992"]
    )
    async def test_a_bad_page(self, device: Device, query: str) -> None:
        detail = await device.fails(1001, "GET", f"/get_registration_face?{query}")
        assert query.partition("=")[0] in detail

    async def test_half_a_list_does_not_look_whole(
        self, device: Device, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the store breaks off in the middle, so does the connection; the next request goes on as ever."""
        await device.register(portraits["obama"], "test")
        break_lists_off(monkeypatch)
        async with device.http.get("/get_registration_face") as response:
            assert response.status == 200
            with pytest.raises(ClientPayloadError):
                await response.read()
        monkeypatch.undo()
        assert await device.remarks() == ["test"]


class TestDelete:
    FORMS = (
        ("GET", "/get_registration_face"),
        ("GET", "/delete_registration_face"),
        ("POST", "/delete_registration_face"),
        ("DELETE", "/delete_registration_face"),
    )

    @pytest.mark.parametrize(("method", "path"), FORMS)
    async def test_every_form(self, device: Device, portraits: dict[str, bytes], method: str, path: str) -> None:
        """The face is gone from the list and from recognition; the others stay."""
        for name in ("obama", "biden"):
            await device.register(portraits[name], name)
        face_id = (await device.faces())[0]["face_id"]
        assert await device.succeeds(method, f"{path}?face_id={face_id}") == {}
        assert await device.remarks() == ["biden"]
        assert [match["remark"] for match in await device.recognise(portraits["obama"])] == ["biden"]
        assert str(face_id) in await device.fails(1004, method, f"{path}?face_id={face_id}")

    @pytest.mark.parametrize(("method", "path"), FORMS)
    @pytest.mark.parametrize(
        "face_id",
        [
            "",
            "x",
            "1.0",
            "1e3",
            "-1",
            "%2B1",
            "0",
            "%201",
            "1%00",
            "%EF%BC%91",
            "0x10",
            "null",
            str(2**53),
            "9" * 30,
            "1" * 5000,
        ],
        ids=lambda face_id: face_id[:20] or "empty",
    )
    async def test_not_a_face_id(self, device: Device, method: str, path: str, face_id: str) -> None:
        assert "face_id" in await device.fails(1001, method, f"{path}?face_id={face_id}")

    @pytest.mark.parametrize(("method", "path"), FORMS[1:])
    async def test_no_face_id(self, device: Device, method: str, path: str) -> None:
        assert "face_id" in await device.fails(1001, method, path)

    async def test_an_unknown_face_id(self, device: Device) -> None:
        for face_id in (1, 2**53 - 1):
            for method, path in self.FORMS:
                assert str(face_id) in await device.fails(1004, method, f"{path}?face_id={face_id}")

    @pytest.mark.slow
    async def test_the_slip_of_the_pen_can_be_switched_off(self, strict: Device, portraits: dict[str, bytes]) -> None:
        """Then it deletes nothing and says so; listing and the other forms go on."""
        await strict.register(portraits["obama"], "test")
        face_id = (await strict.faces())[0]["face_id"]
        detail = await strict.fails(1001, "GET", f"/get_registration_face?face_id={face_id}")
        assert "/delete_registration_face" in detail
        assert await strict.remarks() == ["test"]
        await strict.succeeds("GET", f"/delete_registration_face?face_id={face_id}")
        assert await strict.remarks() == []


class TestNearlyRight:
    """What one letter decides: a device that misspells a parameter believes that it counts."""

    @pytest.mark.parametrize("name", ["faceId", "face-id", "faceid", "FACE_ID", "face_ids", "fase_id", "face_i"])
    async def test_a_face_id_of_another_spelling(self, device: Device, portraits: dict[str, bytes], name: str) -> None:
        """It is no list, which would look as if the face were deleted; and the right name is told."""
        await device.register(portraits["obama"], "test")
        (face,) = await device.faces()
        for path in ("/get_registration_face", "/delete_registration_face"):
            assert "`face_id`" in await device.fails(1001, "GET", f"{path}?{name}={face['face_id']}")
        assert await device.remarks() == ["test"]

    @pytest.mark.parametrize("query", ["Limit=1", "limits=1", "pictures=no", "Group=remark", "simularity=yes"])
    async def test_other_parameters(self, device: Device, portraits: dict[str, bytes], query: str) -> None:
        await device.fails(1001, "POST", f"/recognition_face?{query}", data=form(portraits["obama"]))

    async def test_unlike_names_are_passed_over(self, device: Device, portraits: dict[str, bytes]) -> None:
        """Also a name that is long without end."""
        await device.register(portraits["obama"], "test")
        for query in ("_=1700000000", "token=x", f"{'face_id' * 1000}=1", "id=1", "&&=&"):
            assert await device.remarks(f"?{query}") == ["test"]

    @pytest.mark.parametrize("path", ["/recognition_face/", "/recognition_face//?limit=1"])
    async def test_slashes_change_nothing(self, device: Device, portraits: dict[str, bytes], path: str) -> None:
        await device.register(portraits["obama"], "test")
        data = await device.succeeds("POST", path, data=form(portraits["obama"]))
        assert [match["remark"] for match in data["recognition_face"]] == ["test"]

    async def test_an_empty_remark_in_the_query(self, device: Device, portraits: dict[str, bytes]) -> None:
        """It leaves the form's."""
        parts = multipart(("remark", b"in the form"), ("image", portraits["obama"]))
        await device.succeeds("POST", "/registration_face?remark=", **parts)
        assert await device.remarks() == ["in the form"]


class TestUriNotFound:
    @pytest.mark.parametrize(
        "path", ["/x", "/registration_faces", "/registration_face/x", "/registration_face%2F", "/%FF%00/../x", "/v2/x"]
    )
    async def test_an_unknown_path(self, device: Device, portraits: dict[str, bytes], path: str) -> None:
        for method in ("GET", "POST"):
            await device.fails(1000, method, path)
        await device.fails(1000, "POST", path, data=form(portraits["obama"]))

    @pytest.mark.parametrize("path", PATHS)
    async def test_another_method(self, device: Device, path: str) -> None:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - PATHS[path]:
            await device.fails(1000, method, path)

    @pytest.mark.parametrize("path", [*PATHS, "/unknown"])
    async def test_head(self, device: Device, path: str) -> None:
        """An answer to HEAD has no body; its status is 200 like every other."""
        async with device.http.head(path) as response:
            assert (response.status, await response.read()) == (200, b"")


class TestMissingArgs:
    async def test_no_remark(self, device: Device, portraits: dict[str, bytes]) -> None:
        for path in ("/registration_face", "/registration_face?remark=", "/registration_face?Remark=x"):
            assert "remark" in await device.fails(1001, "POST", path, data=form(portraits["obama"]))
        parts = multipart(("remark", b""), ("image", portraits["obama"]))
        assert "remark" in await device.fails(1001, "POST", "/registration_face", **parts)

    @pytest.mark.parametrize("remark", ["長" * 1025, "x" * 5000])
    async def test_a_remark_too_long(self, device: Device, portraits: dict[str, bytes], remark: str) -> None:
        assert "1024" in await device.fails(1001, "POST", register_path(remark), data=form(portraits["obama"]))
        parts = multipart(("image", portraits["obama"]), ("remark", remark.encode()))
        assert "1024" in await device.fails(1001, "POST", "/registration_face", **parts)

    @pytest.mark.parametrize("remark", ["%FF", "%D5%C5%C8%FD", "%ED%A0%80", "%C0%80"])
    async def test_a_remark_that_is_not_utf8(self, device: Device, portraits: dict[str, bytes], remark: str) -> None:
        """It is refused rather than stored garbled: here Latin-1, GBK, a lone surrogate, an overlong NUL."""
        path = f"/registration_face?remark={remark}"
        assert "UTF-8" in await device.fails(1001, "POST", path, data=form(portraits["obama"]))
        parts = multipart(("image", portraits["obama"]), ("remark", b"\xff"))
        assert "UTF-8" in await device.fails(1001, "POST", "/registration_face", **parts)

    @pytest.mark.parametrize("path", [register_path("test"), "/recognition_face"])
    async def test_no_photo(self, device: Device, portraits: dict[str, bytes], path: str) -> None:
        """No part, an empty one, or one of another name."""
        for data in (form(b""), FormData({"remark": "x"}, default_to_multipart=True)):
            assert "`image`" in await device.fails(1001, "POST", path, data=data)
        for name in ("Image", "photo", "images"):
            parts = multipart((name, portraits["obama"]))
            assert "`image`" in await device.fails(1001, "POST", path, **parts)


class TestUnusablePhotos:
    """1004 while registering, 1005 while recognising, and a detail that says what to do."""

    @pytest.fixture(params=[(1004, register_path("test")), (1005, "/recognition_face")], ids=["register", "recognise"])
    def operation(self, request: pytest.FixtureRequest) -> tuple[int, str]:
        code, path = request.param
        return code, path

    async def test_what_cannot_be_decoded(
        self, device: Device, portraits: dict[str, bytes], operation: tuple[int, str]
    ) -> None:
        code, path = operation
        for photo in (b"no photo", b"\x00", b"%PDF-1.7", b"<svg/>", portraits["obama"][:1000], b"\xff\xd8\xff\xe0"):
            assert "image" in await device.fails(code, "POST", path, data=form(photo))
        assert await device.faces() == []

    async def test_no_face(self, device: Device, photos: Path, operation: tuple[int, str]) -> None:
        code, path = operation
        for photo in (
            (photos / "chelsea.png").read_bytes(),
            jpeg(Image.new("RGB", (1, 1))),
            jpeg(Image.new("L", (64, 64))),
        ):
            assert "face" in await device.fails(code, "POST", path, data=form(photo))
        assert await device.faces() == []

    async def test_too_many_bytes_or_pixels(
        self, strict: Device, strict_settings: Settings, portraits: dict[str, bytes], operation: tuple[int, str]
    ) -> None:
        """Exactly as many as allowed are accepted, one more is refused; pixels are counted, not decoded."""
        code, path = operation
        most = strict_settings.max_bytes
        largest = portraits["obama"].ljust(most, b"\x00")
        await strict.succeeds("POST", path, data=form(largest))
        for photo in (largest + b"\x00", bytes(900_000)):
            assert str(most) in await strict.fails(code, "POST", path, data=form(photo))
        larger = jpeg(Image.new("RGB", (241, 240)), quality=1)
        assert "241×240" in await strict.fails(code, "POST", path, data=form(larger))

    async def test_too_many_at_once(
        self, strict: Device, portraits: dict[str, bytes], operation: tuple[int, str]
    ) -> None:
        """What the queue can't hold is refused at once, and what it holds is answered."""
        code, path = operation
        answers = await asyncio.gather(*(strict.ask("POST", path, data=form(portraits["obama"])) for _ in range(12)))
        assert {answer["code"] for answer in answers} == {0, code}
        assert all("again" in answer["detail"] for answer in answers if answer["code"])
        await strict.succeeds("POST", path, data=form(portraits["obama"]))


class TestUnknownError:
    @pytest.mark.slow
    async def test_says_nothing_of_the_inside(
        self, device: Device, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An exception that nobody thought of is 999; its words stay in the log, and the next request goes on."""

        def fail(*_: object) -> None:
            raise ZeroDivisionError("/etc/secret")

        monkeypatch.setattr("service.vision.preparation.to_jpeg", fail)
        detail = await device.fails(999, "POST", register_path("test"), data=form(portraits["obama"]))
        assert "secret" not in detail
        assert "ZeroDivision" not in detail
        monkeypatch.undo()
        await device.register(portraits["obama"], "test")


def side_by_side(larger: bytes, smaller: bytes) -> bytes:
    """A group photo: the second half as large as the first."""
    left, right = (Image.open(io.BytesIO(each)).convert("RGB") for each in (larger, smaller))
    right = right.resize((right.width // 2, right.height // 2))
    group = Image.new("RGB", (left.width + right.width, left.height), "grey")
    group.paste(left, (0, 0))
    group.paste(right, (left.width, 0))
    return jpeg(group, quality=95)


def coarse(image: Image.Image) -> NDArray[np.float64]:
    """What an image shows, shape (8, 8), 0 to 255."""
    return np.asarray(image.convert("L").resize((8, 8)), dtype=np.float64)
