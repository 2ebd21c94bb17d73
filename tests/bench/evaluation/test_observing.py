"""Photos are observed once: what is kept is what the engine said, and is used only where it would say the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from scripts.bench.evaluation.observing import observe_photos, refusals
from service.models.selection import ModelFiles
from service.settings import Settings


def kept(bench: Path) -> list[Path]:
    return sorted((bench / "observed").iterdir())


@pytest.mark.slow
async def test_a_photo_is_observed_once(
    album: Path, photos: Path, settings: Settings, files: ModelFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under any name; after half a line, which a run that was broken off leaves, only that photo again."""
    portrait, copy, cat = album / "obama" / "1.jpg", album / "copy.jpg", photos / "chelsea.png"
    copy.write_bytes(portrait.read_bytes())
    first = await observe_photos(settings, files, [portrait, copy, cat], tmp_path)
    assert "2 of 2 photos" in capsys.readouterr().err
    (file,) = kept(tmp_path)
    whole = file.read_text().splitlines(keepends=True)
    file.write_text(whole[0] + whole[1][:50])
    second = await observe_photos(settings, files, [portrait, copy, cat], tmp_path)
    assert "1 of 1 photos" in capsys.readouterr().err
    assert sorted(file.read_text().splitlines(keepends=True)) == sorted(whole)
    for observed in (first, second):
        assert refusals(observed) == {"face_not_found": [cat]}
        candidate, of_copy = observed[portrait].candidate, observed[copy].candidate
        assert candidate is not None
        assert of_copy is not None
        assert candidate.sha256 == of_copy.sha256
        assert np.linalg.norm(candidate.faces[0].embedding) == pytest.approx(1, abs=1e-3)
    before, after = (each[portrait].candidate for each in (first, second))
    assert before is not None
    assert after is not None
    assert before.faces[0].detection == after.faces[0].detection


@pytest.mark.slow
async def test_settings_that_change_what_is_seen_have_answers_of_their_own(
    album: Path, settings: Settings, files: ModelFiles, tmp_path: Path
) -> None:
    """Those that change only what is done with it share them."""
    portrait = [album / "obama" / "1.jpg"]
    for changes, number in (({}, 1), ({"threshold": 0.7, "data": tmp_path}, 1), ({"min_score": 0.5}, 2)):
        await observe_photos(dataclasses.replace(settings, **changes), files, portrait, tmp_path)
        assert len(kept(tmp_path)) == number
