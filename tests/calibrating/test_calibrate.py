"""The command on real galleries, of faces that are made up."""

from __future__ import annotations

import json
import logging
import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.commands import calibrate
from service.errors import GalleryInUse, StoreUnavailable
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from tests.calibrating.conftest import MakePhotos, Photo
from tests.support.stored_faces import CONTRACT, face

PLAIN = Namespace(json=None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", fpir=0.03)


async def fill(settings: Settings, photos: list[Photo], *, model: str = "vggface2") -> None:
    store = EdgeStore(settings.data / "gallery")
    await store.open()
    await store.bind(replace(CONTRACT, model=model))
    await store.add_many([(face(number, remark=remark), vector) for number, (remark, vector) in enumerate(photos, 1)])
    await store.close()


@pytest.mark.slow
async def test_a_gallery_proposes_its_threshold(
    settings: Settings,
    tmp_path: Path,
    make_photos: MakePhotos,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On the terminal and in a file; no remark reaches the log."""
    caplog.set_level(logging.DEBUG)
    photos = [*make_photos(120, several=60), ("twice 1", make_photos(1, seed=2)[0][1])]
    await fill(settings, [*photos, ("twice 2", photos[-1][1])])
    assert await calibrate.run(settings, Namespace(json=tmp_path / "curve.json")) == 0
    shown = capsys.readouterr()
    figures = json.loads((tmp_path / "curve.json").read_text("utf-8"))
    proposed = re.search(r"Proposal: FACE_THRESHOLD=([\d.]+) for an FPIR of 3 %", shown.out)
    assert proposed is not None
    assert float(proposed[1]) == figures["proposed"]["threshold"]
    assert (figures["faces"], figures["people"]) == (182, 122)
    assert figures["operating_points"][3]["own"]["fpir"]["share"] <= 0.03
    assert re.search(r"'twice [12]' and 'twice [12]'", shown.out)
    assert re.search(
        r"FACE_THRESHOLD=auto with FACE_FPIR=0.03 is 0\.\d{3} here, which is ", " ".join(shown.out.split())
    )
    assert "As it is set now" not in shown.out
    assert "182 of 182 faces searched" in shown.err
    assert "twice" not in shown.err + caplog.text


@pytest.mark.slow
async def test_a_custom_model(settings: Settings, make_photos: MakePhotos, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no built-in threshold, so it needs this command most."""
    await fill(settings, make_photos(120, several=60), model="custom")
    assert await calibrate.run(replace(settings, threshold=0.4), PLAIN) == 0
    shown = capsys.readouterr().out
    assert "Proposal: FACE_THRESHOLD=0." in shown
    assert "There is no built-in threshold for the model custom." in shown
    assert "As it is set now, FACE_THRESHOLD=0.4: " in shown


@pytest.mark.slow
async def test_too_few_people(settings: Settings, make_photos: MakePhotos, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, no figures, and a status that says so."""
    await fill(settings, make_photos(19, several=19))
    assert await calibrate.run(settings, PLAIN) == 1
    assert capsys.readouterr().out.startswith("The gallery has photos of 19 people")


async def test_no_gallery(settings: Settings) -> None:
    with pytest.raises(StoreUnavailable, match="no gallery there"):
        await calibrate.run(settings, PLAIN)


@pytest.mark.slow
async def test_a_gallery_that_is_in_use(settings: Settings, make_photos: MakePhotos) -> None:
    """The sentence says what to do."""
    await fill(settings, make_photos(2))
    service = EdgeStore(settings.data / "gallery")
    await service.open()
    with pytest.raises(GalleryInUse, match="stop that one"):
        await calibrate.run(settings, PLAIN)
    await service.close()
