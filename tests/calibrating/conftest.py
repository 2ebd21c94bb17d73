"""People of made-up galleries, whose photos are alike and who are a little like each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from indexer.calibrating.sample import Sample, Sampler
from service.values import Embedding

Photo = tuple[str, Embedding]
MakePhotos = Callable[..., list[Photo]]

LIKE_EVERYBODY = 0.6
"""The length of what all faces share, beside the 1 of what makes a person, and BY_PHOTO of what makes a photo."""
BY_PHOTO = 0.7


@pytest.fixture(scope="session")
def make_photos() -> MakePhotos:
    """Remarks and embeddings of so many people, of whom `several` have two photos, in any order."""

    def make(people: int, *, several: int = 0, seed: int = 1) -> list[Photo]:
        rng = np.random.default_rng(seed)
        parts = rng.normal(size=(1 + 3 * people, 512)) / np.sqrt(512)
        photos = []
        for person in range(people):
            for photo in range(2 if person < several else 1):
                vector = (
                    LIKE_EVERYBODY * parts[0] + parts[1 + person] + BY_PHOTO * parts[1 + (photo + 1) * people + person]
                )
                photos.append((f"person {person}", (vector / np.linalg.norm(vector)).astype(np.float32)))
        return [photos[at] for at in rng.permutation(len(photos))]

    return make


def sample_of(photos: list[Photo]) -> Sample:
    sampler = Sampler()
    for remark, embedding in photos:
        sampler.add(remark, embedding)
    return sampler.finish()
