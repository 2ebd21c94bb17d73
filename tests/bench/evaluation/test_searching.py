"""Scores that the service doesn't have, on a gallery worked by hand; its own are tested with it."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.bench.evaluation.searching import PSEUDO_FACES, search_with
from service.stores.store import Store
from service.values import Embedding


def unit(*values: float) -> Embedding:
    vector = np.zeros(512, np.float32)
    vector[: len(values)] = values
    return vector / np.float32(np.linalg.norm(vector))


ENROLLED = [("ann", unit(1, 0)), ("ann", unit(0.9, 0.1)), ("bob", unit(1, 1))]


async def test_a_centred_score_is_less_the_gallerys_shrunk_mean(store: Store) -> None:
    """Of three faces and twenty at zero."""
    probe = unit(1, 0.2)
    answers = await search_with("centred", store, ENROLLED)(probe)
    mean = sum(vector for _, vector in ENROLLED) / (3 + PSEUDO_FACES)
    shifted = [vector - mean for _, vector in ENROLLED]
    wanted = [float((probe - mean) @ each / np.linalg.norm(probe - mean) / np.linalg.norm(each)) for each in shifted]
    assert [each.remark for each in answers] == ["ann", "bob"]
    assert [each.score for each in answers] == pytest.approx([max(wanted[:2]), wanted[2]], abs=1e-5)


async def test_a_cohort_lowers_centred_scores(store: Store) -> None:
    probe = unit(1, 0.2)
    plain, normed = [await search_with(score, store, ENROLLED)(probe) for score in ("centred", "centred+cohort")]
    assert [each.remark for each in plain] == [each.remark for each in normed]
    assert all(below.score < above.score for below, above in zip(normed, plain, strict=True))


@pytest.mark.parametrize("score", ["cohort", "cosine", "centred", "centred+cohort"])
async def test_an_empty_gallery_answers_nothing(store: Store, score: str) -> None:
    assert await search_with(score, store, [])(unit(1)) == []  # type: ignore[arg-type]
