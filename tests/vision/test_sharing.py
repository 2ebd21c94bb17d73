"""One photo has all processors; as soon as there are several, each has one."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from service.vision.sharing import Sharing


@pytest.mark.parametrize(
    ("threads", "photos", "at_once"), [(2, 0, 1), (2, 1, 1), (2, 2, 2), (2, 64, 2), (16, 8, 1), (16, 9, 16), (1, 1, 1)]
)
def test_with_photos_for_more_than_half_of_the_processors_each_photo_has_one(
    threads: int, photos: int, at_once: int
) -> None:
    sharing = Sharing(threads)
    with ExitStack() as taken_on:
        for _ in range(photos):
            taken_on.enter_context(sharing.photo())
        assert sharing.at_once == at_once


def test_a_photo_that_fails_no_longer_counts() -> None:
    sharing = Sharing(2)
    with pytest.raises(ValueError, match="no photo"), sharing.photo(), sharing.photo():
        raise ValueError("no photo")
    assert not sharing.is_shared
