"""Which of a photo's faces are wanted, given as the detector does: the largest first."""

from __future__ import annotations

import pytest

from service.errors import MultipleFaces
from service.gallery.choices import every, largest, single
from service.values import Box, Detection

SIZE = (100, 100)
SURE, UNSURE = (Detection(Box(0, 0, 9, 9), ((0.0, 0.0),) * 5, score) for score in (0.95, 0.85))


def test_only_faces_that_the_detector_is_sure_of_count() -> None:
    """Whichever of them are wanted; of none, none."""
    found = [UNSURE, SURE, UNSURE]
    assert largest(0.9)(found, SIZE) == every(0.9)(found, SIZE) == single(0.9)(found, SIZE) == [SURE]
    assert largest(0.9)([], SIZE) == every(0.9)([], SIZE) == single(0.9)([], SIZE) == []


def test_of_several_the_first_all_or_none() -> None:
    """None, and an error, where there may be but one."""
    found = [SURE, SURE]
    assert largest(0.9)(found, SIZE) == [SURE]
    assert every(0.9)(found, SIZE) == found
    with pytest.raises(MultipleFaces, match="shows 2 faces"):
        single(0.9)(found, SIZE)
