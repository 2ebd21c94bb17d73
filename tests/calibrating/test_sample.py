"""Whom a calibration looks at: everybody, or a fair share of whole people."""

from __future__ import annotations

import numpy as np

from indexer.calibrating import sample
from indexer.calibrating.sample import Sample, Sampler
from tests.support.stored_faces import embedding


def taken(photos: dict[str, int], limit: int = 1000, *, backwards: bool = False) -> Sample:
    """From a gallery with so many photos of each remark."""
    faces = [(remark, number) for remark, count in photos.items() for number in range(count)]
    sampler = Sampler(limit)
    for remark, number in reversed(faces) if backwards else faces:
        sampler.add(remark, embedding(number))
    return sampler.finish()


def photos_of(found: Sample) -> dict[str, int]:
    return dict(zip(found.remarks, found.people.photos.tolist(), strict=True))


def test_everybody_of_a_small_gallery() -> None:
    """With the embeddings that are theirs, in their order."""
    gallery = {"a": 3, "b": 1, "": 2}
    found = taken(gallery)
    assert photos_of(found) == gallery
    of_a = found.people.embeddings[found.people.owners == found.remarks.index("a")]
    assert np.array_equal(of_a, [embedding(number) for number in range(3)])


def test_of_a_large_gallery_whole_people() -> None:
    """As many as there is room for, the same in any order, and no favourites."""
    gallery = {f"person {number}": 1 + number % 4 for number in range(400)}
    found = photos_of(taken(gallery, limit=250))
    assert found.items() <= gallery.items()
    assert 246 < sum(found.values()) <= 250
    assert found == photos_of(taken(gallery, limit=250, backwards=True))
    numbers = [int(remark.removeprefix("person ")) for remark in found]
    assert 150 < np.mean(numbers) < 250


def test_some_photos_of_whoever_has_very_many() -> None:
    assert photos_of(taken({"a": sample.MAX_PHOTOS + 30, "b": 2})) == {"a": sample.MAX_PHOTOS, "b": 2}
