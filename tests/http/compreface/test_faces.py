"""Examples of CompreFace's API: added, listed, shown and deleted."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image

from tests.http.compreface.conftest import FACES, CompreFace, base64_of, form
from tests.support.device import variants

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "00000000-0000-0000-0000-00007fffffff"


class TestAdding:
    async def test_an_example_is_a_face_of_the_subject(
        self, compreface: CompreFace, portraits: dict[str, bytes]
    ) -> None:
        """The same photo again is the same example; its number in /v1 is the end of the UUID."""
        image_id = await compreface.add(portraits["obama"], "Ann")
        assert await compreface.add(portraits["obama"], "Ann") == image_id
        async with compreface.http.get(f"/v1/faces/{int(image_id.replace('-', ''), 16)}") as response:
            assert (await response.json())["remark"] == "Ann"

    async def test_photos_may_be_base64_in_json(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        body = {"file": base64_of(portraits["obama"])}
        answer = await compreface.ask("POST", f"{FACES}?subject=Ann&det_prob_threshold=0.8", 201, json=body)
        assert answer["image_id"] == await compreface.add(portraits["obama"], "Ann")

    async def test_an_example_shows_one_face(self, compreface: CompreFace, two: bytes, no_face: bytes) -> None:
        """With several it is 31, with none 28; then there is no subject either."""
        await compreface.fails(400, 31, "POST", f"{FACES}?subject=Ann", data=form(file=two))
        await compreface.fails(400, 28, "POST", f"{FACES}?subject=Ann", data=form(file=no_face))
        assert await compreface.subjects() == []

    async def test_the_subject_must_be_said(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Not left out, blank, too long or garbled."""
        for query, code in (
            ("", 33),
            ("?subject=", 26),
            ("?subject=%20%20", 26),
            (f"?subject={'x' * 1025}", 26),
            ("?subject=%ff", 26),
        ):
            await compreface.fails(400, code, "POST", FACES + query, data=form(file=portraits["obama"]))


class TestListing:
    async def test_examples_come_page_by_page(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """The oldest first, all or those of a subject; a page behind the last one is empty."""
        ann = [await compreface.add(photo, "Ann") for photo in variants(portraits["obama"], 3)]
        bob = await compreface.add(portraits["biden"], "Bob")
        everything = [{"image_id": each, "subject": "Ann"} for each in ann] + [{"image_id": bob, "subject": "Bob"}]
        pages = {
            "": (everything, 0, 20, 1, 4),
            "?page=0&size=3": (everything[:3], 0, 3, 2, 4),
            "?page=1&size=3": (everything[3:], 1, 3, 2, 4),
            "?page=2&size=3": ([], 2, 3, 2, 4),
            "?page=999999999999999&size=999999999999999": ([], 999999999999999, 2000, 1, 4),
            "?size=0": (everything[:1], 0, 1, 4, 4),
            "?subject=Ann&page=1&size=2": (everything[2:3], 1, 2, 2, 3),
            "?subject=nobody": ([], 0, 20, 0, 0),
        }
        for query, (faces, page, size, total_pages, total) in pages.items():
            assert await compreface.ask("GET", FACES + query) == {
                "faces": faces,
                "page_number": page,
                "page_size": size,
                "total_pages": total_pages,
                "total_elements": total,
            }, query

    async def test_an_image_is_the_picture_that_was_kept(
        self, compreface: CompreFace, portraits: dict[str, bytes]
    ) -> None:
        """By the header's key or by one in the path, for `<img>`; nothing where there is no such example."""
        image_id = await compreface.add(portraits["obama"], "Ann")
        for path in (f"{FACES}/{image_id}/img", f"/api/v1/static/{compreface.key}/images/{image_id}"):
            assert Image.open(io.BytesIO(await compreface.ask("GET", path))).format == "JPEG"
            assert await compreface.ask("GET", path.replace(image_id, NOBODY)) == b""


class TestDeleting:
    async def test_one_by_its_id(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Once; a second time, and an id of another CompreFace, are 44."""
        image_id = await compreface.add(portraits["obama"], "Ann")
        path = f"{FACES}/{image_id.upper()}"
        assert await compreface.ask("DELETE", path) == {"image_id": image_id, "subject": "Ann"}
        await compreface.fails(404, 44, "DELETE", path)
        for other in (NOBODY, "6b135f5b-a365-4522-b1f1-4c9ac2dd0728", "0" * 8 + "-0000" * 3 + "-" + "0" * 12):
            await compreface.fails(404, 44, "DELETE", f"{FACES}/{other}")

    async def test_several_by_their_ids(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Those that are there; the same id twice is once."""
        ids = [await compreface.add(portraits[name], name) for name in ("obama", "biden", "astronaut")]
        removed = await compreface.ask("POST", f"{FACES}/delete", json=[ids[0], NOBODY, ids[1], ids[0]])
        assert removed == [{"image_id": ids[0], "subject": "obama"}, {"image_id": ids[1], "subject": "biden"}]
        assert await compreface.subjects() == ["astronaut"]
        assert await compreface.ask("POST", f"{FACES}/delete", json=[]) == []

    async def test_all_of_a_subject(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Or of everybody, if none is named; an empty name is a slip and deletes nothing."""
        for name in ("obama", "obama2"):
            await compreface.add(portraits[name], "Ann")
        await compreface.add(portraits["biden"], "Bob")
        assert await compreface.ask("DELETE", f"{FACES}?subject=Ann") == {"deleted": 2}
        assert await compreface.ask("DELETE", f"{FACES}?subject=Ann") == {"deleted": 0}
        await compreface.fails(400, 26, "DELETE", f"{FACES}?subject=")
        assert await compreface.ask("DELETE", FACES) == {"deleted": 1}
        assert await compreface.ask("DELETE", FACES) == {"deleted": 0}

    async def test_at_the_same_moment_one_succeeds(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """However many want it gone, nobody hears of anything else than that it was there or wasn't."""
        ids = [await compreface.add(photo, "Ann") for photo in variants(portraits["obama"], 4)]
        answers = await asyncio.gather(
            *(compreface.ask("POST", f"{FACES}/delete", json=ids) for _ in range(3)),
            *(compreface.ask("DELETE", FACES) for _ in range(3)),
        )
        assert all(isinstance(each, list | dict) for each in answers)
        assert (await compreface.ask("GET", FACES))["total_elements"] == 0
