"""Made-up people are as near one another as real ones, and the nearest of them are found by comparing all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.bench import made_up
from scripts.bench.made_up import PHOTOS_A_PERSON, nearest, people_of


@pytest.mark.parametrize("is_real", [False, True])
def test_two_photos_of_a_person_are_nearer_than_two_people(tmp_path: Path, is_real: bool) -> None:
    random = np.random.default_rng(1)
    np.save(tmp_path / "real.npy", random.standard_normal((50, 512)))
    photos, probes = people_of(402, random, 40, 0.5, tmp_path / "real.npy" if is_real else None)
    assert photos.shape == (402, 512)
    assert np.allclose(np.linalg.norm(photos, axis=1), 1, atol=1e-5)
    likeness = photos @ photos.T
    assert np.median(likeness[range(0, 400, PHOTOS_A_PERSON), range(1, 400, PHOTOS_A_PERSON)]) > 0.5
    assert np.median(likeness) < 0.3
    best = (probes @ photos.T).max(axis=1)
    assert np.median(best[:20]) > np.median(best[20:])  # the second half are strangers


def test_the_nearest_are_the_same_in_one_block_and_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    photos, probes = people_of(500, random, 20, 0.5)
    expected = [set(row) for row in np.argsort(probes @ photos.T, axis=1)[:, -5:].tolist()]
    for at_once in (7, 500):
        monkeypatch.setattr(made_up, "AT_ONCE", at_once)
        assert nearest(photos, probes, 5) == expected
