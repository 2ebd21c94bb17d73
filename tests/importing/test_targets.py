"""Where photos go: an import forgets what an earlier one learned under other settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from indexer.importing.targets import terms
from service.models.selection import ModelFiles
from service.settings import Settings


@pytest.mark.parametrize(
    "change",
    [
        {"min_score": 0.5},
        {"min_face": 80},
        {"min_share": 0.1},
        {"search_side": 1000},
        {"max_bytes": 1000},
        {"max_pixels": 1000},
        {"choice": "largest"},
        {"rotate": False},
        {"quality": "off"},
        {"mirror": True},
    ],
)
def test_whatever_decides_what_becomes_of_a_photo_is_in_the_terms(files: ModelFiles, change: dict[str, Any]) -> None:
    before = terms(Settings(), files.contract, "one")
    assert terms(replace(Settings(), **change), files.contract, "one") != before


def test_which_faces_are_imported_is_in_the_terms(files: ModelFiles) -> None:
    """A setting that decides about no photo is not."""
    before = terms(Settings(), files.contract, "one")
    assert terms(Settings(), files.contract, "all") != before
    assert terms(Settings(port=80), files.contract, "one") == before
