"""What the picture that a gallery keeps still tells of its face."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from indexer.moving.stored_pictures import embed_again
from service.models.selection import ModelFiles
from service.timings import Timings
from service.values import Embedding, StoredFace
from service.vision.engine import Engine
from tests.moving.conftest import LEAST, kept_picture
from tests.support.device import jpeg
from tests.support.stored_faces import face


@pytest.mark.slow
async def test_the_face_is_found_again(engine: Engine, known: dict[int, tuple[StoredFace, Embedding]]) -> None:
    """At the photo's size or made smaller, the embedding is nearly that of the photo."""
    sides = set()
    for each, vector in known.values():
        again = await embed_again(engine, each, picture_side=480)
        assert float(again @ vector) > LEAST, each.remark
        sides.add(max(each.box) > 480)
    assert sides == {True, False}


@pytest.mark.slow
async def test_the_right_one_of_several(engine: Engine, photos: Path, files: ModelFiles) -> None:
    """The stored box tells whose face it is, at whatever scale, even where another one is larger."""
    with Image.open(photos / "obama.jpg") as one, Image.open(photos / "biden.jpg") as other:
        both = Image.new("RGB", (1000, 600))
        both.paste(one.convert("RGB").resize((600, 600)), (0, 0))
        both.paste(other.convert("RGB").resize((400, 400)), (600, 100))
    photo = jpeg(both, quality=95)
    observation = await engine.observe(photo, lambda found, _: found, Timings())
    assert len(observation.faces) == 2
    small = both.copy()
    small.thumbnail((480, 480))
    for seen in observation.faces:
        found = seen.detection
        stored = face(1, box=found.box, landmarks=found.landmarks, picture=kept_picture(small))
        vectors = await embed_again(engine, stored, picture_side=480)
        similar = [float(vectors @ each.embedding) for each in observation.faces]
        assert similar[observation.faces.index(seen)] == max(similar) > 0.9
