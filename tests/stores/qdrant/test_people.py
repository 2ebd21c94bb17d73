"""The people of a shared gallery: how much is read for a page of them, and servers that find no parts of names."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import StoreUnavailable
from service.stores.people import PersonKey, person_key
from service.stores.qdrant import filters, people
from service.values import DEFAULT_GALLERY as HERE
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import embedding, face

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

PAGE = 100


async def fill(store: Any, remarks: list[str]) -> None:
    """A face for each of the remarks, numbered from 1."""
    vector = embedding(1)
    for first in range(0, len(remarks), 500):
        faces = [face(first + n, remark=remark) for n, remark in enumerate(remarks[first : first + 500], 1)]
        await store.add_many([(each, vector) for each in faces])


class TestReading:
    """Names and numbers are read, never pictures."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("remarks", "most"),
        [
            pytest.param([f"employee {n:03}" for n in range(300)], 2.1, id="names that begin alike"),
            pytest.param([*["a"] * 3000, *(f"b {n}" for n in range(150))], 5.0, id="one person of 3,000 faces"),
        ],
    )
    async def test_a_page_reads_few_faces(self, server: Qdrant, opened: Any, remarks: list[str], most: float) -> None:
        """A few times as many as it has people, and one request counts all of their faces."""
        store = await opened(server.connect)
        await fill(store, remarks)
        server.calls.clear()
        server.scrolled = 0
        found, after = await store.people(PAGE, gallery=HERE)
        assert len(found) == PAGE
        assert after is not None
        assert server.scrolled <= most * PAGE
        assert server.calls["Facet"] == 1
        assert server.calls["Scroll"] <= 6
        assert "picture" not in server.last["Scroll"].with_payload.include.fields
        assert {each.remark: each.faces for each in found}.get("a", 3000) == 3000

    @pytest.mark.slow
    async def test_no_request_asks_for_more_than_a_page(self, server: Qdrant, opened: Any) -> None:
        """And one person more, who tells whether it goes on; so each page takes as long, however many there are."""
        store = await opened(server.connect)
        await fill(store, [f"{n * 7919 % 350:03} person" for n in range(350)])
        found: list[str] = []
        after: PersonKey | None = None
        while not found or after is not None:
            server.calls.clear()
            server.limits.clear()
            page, after = await store.people(PAGE, gallery=HERE, after=after)
            found += [each.remark for each in page]
            assert max(server.limits) <= PAGE + 1
            assert sum(server.calls.values()) <= 4
        assert found == [f"{n:03} person" for n in range(350)]


class TestFigures:
    """How large a gallery is."""

    async def test_nobody_counts_whose_faces_are_gone(self, server: Qdrant, opened: Any) -> None:
        """A server's index still knows the remark of a face that was removed."""
        store = await opened(server.connect)
        await fill(store, ["a", "a", "b", "c"])
        await store.remove_person("c", gallery=HERE)
        figures = await store.figures()
        assert (figures.faces, figures.remarks, figures.are_remarks_estimated) == (3, 2, False)
        assert server.calls["Facet"] == 0

    @pytest.mark.slow
    async def test_no_request_grows_with_the_gallery(self, server: Qdrant, opened: Any) -> None:
        """Numbers are read until there are enough to tell how many there are."""
        store = await opened(server.connect)
        await fill(store, [f"person {n}" for n in range(2500)])
        server.calls.clear()
        server.scrolled = 0
        figures = await store.figures()
        assert (figures.faces, figures.remarks) == (2500, 2500)
        assert server.calls["Scroll"] == 3
        assert server.last["Scroll"].limit == 1000
        assert not server.last["Count"].HasField("filter")


class TestServersWithoutParts:
    """Qdrant 1.19 doesn't know the condition."""

    @pytest.mark.slow
    @pytest.mark.parametrize("limit", [1, 3, 100])
    async def test_a_part_of_a_name_is_found_all_the_same(
        self, server: Qdrant, opened: Any, monkeypatch: pytest.MonkeyPatch, limit: int
    ) -> None:
        """In any case, page by page, nobody twice."""
        monkeypatch.setattr(people, "_PEOPLE_AT_ONCE", 7)
        server.version = "1.19.2"
        store = await opened(server.connect)
        remarks = [f"Person {n}" for n in range(30)] + [f"Zoë {n}" for n in range(8)] + ["ZOË", "Zoë 3"]
        await fill(store, remarks)
        with pytest.raises(StoreUnavailable):
            await store.requests.scroll(scroll_filter=filters.named(HERE, part="zoë"), limit=1)
        found: list[str] = []
        after: PersonKey | None = None
        while True:
            page, after = await store.people(limit, gallery=HERE, after=after, part="zOË")
            found += [each.remark for each in page]
            if after is None:
                break
            assert len(page) == limit
        wanted = {remark for remark in remarks if remark.casefold().startswith("zoë")}
        assert found == sorted(wanted, key=lambda remark: person_key(remark, gallery=HERE))
        assert await store.people(limit, gallery=HERE, part="nobody") == ([], None)

    async def test_a_newer_server_finds_it_by_itself(self, server: Qdrant, opened: Any) -> None:
        """Only those faces are read that match."""
        store = await opened(server.connect)
        await fill(store, [f"Person {n}" for n in range(30)] + ["Zoë"])
        server.scrolled = 0
        found, _ = await store.people(5, gallery=HERE, part="ZOË")
        assert [each.remark for each in found] == ["Zoë"]
        assert server.scrolled == 1
