"""How well the whole does its work with the vggface2 weights: known faces are found again among 240, and the vectors
are those that facenet-pytorch computes in an environment of its own.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.models import selection
from service.models.selection import ModelFiles
from service.settings import Settings
from service.timings import Timings
from service.values import Detection, Embedding
from service.vision.engine import Engine, open_engine

MODELS = Path(__file__).parents[2] / "models"
GOLDEN = Path(__file__).parent / "golden" / "vggface2_portraits.json"
"""`python -m scripts.bench.golden` makes it anew."""
PORTRAITS = json.loads(GOLDEN.read_text(encoding="utf-8"))["portraits"]


@pytest.fixture(scope="module")
def vggface2(shared: Path) -> ModelFiles:
    return selection.prepare(
        Settings(weights=shared / "models" / "facenet-vggface2-fp16.pt", model_dir=MODELS), kept=None
    )


@pytest.fixture(params=["auto", "f32"])
async def engine(vggface2: ModelFiles, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """With default settings, and in float32."""
    engine = await open_engine(replace(Settings(), precision=request.param), vggface2)
    yield engine
    await engine.close()


def in_the_middle(detections: list[Detection], _: tuple[int, int]) -> list[Detection]:
    """facenet-pytorch's «center_weighted_size»: LFW's labels are about the person in the middle of the 250 pixels."""

    def weight(detection: Detection) -> float:
        box = detection.box
        across, down = (box.left + box.right) / 2 - 125, (box.top + box.bottom) / 2 - 125
        return box.area - 2 * (across**2 + down**2)

    return sorted(detections, key=weight)[-1:]


@pytest.mark.slow
@pytest.mark.parametrize("name", PORTRAITS)
async def test_a_portrait_has_the_box_and_the_embedding_of_facenet_pytorch(
    engine: Engine, shared: Path, name: str
) -> None:
    """As pip installs it, with its own old torch, numpy and Pillow: boxes within 1 pixel or 1 %, cosine 0.999."""
    golden = PORTRAITS[name]
    photo = (shared / "faces" / "photos" / name).read_bytes()
    assert hashlib.sha256(photo).hexdigest() == golden["sha256"], "another photo than the golden one"
    observation = await engine.observe(photo, lambda detections, _: detections[:1], Timings())
    [face] = observation.faces
    side = face.detection.box.height
    np.testing.assert_allclose(face.detection.box, golden["box"], rtol=0, atol=max(1, side / 100))
    np.testing.assert_allclose(face.detection.landmarks, golden["landmarks"], rtol=0, atol=max(2, side / 50))
    assert face.detection.score == pytest.approx(golden["probability"], abs=0.01)
    expected = np.frombuffer(base64.b64decode(golden["embedding"]), dtype="<f4")
    assert float(face.embedding @ expected) >= 0.999


def test_the_golden_portraits_are_of_different_people() -> None:
    """So the test above can tell one embedding from another."""
    vectors = [np.frombuffer(base64.b64decode(each["embedding"]), dtype="<f4") for each in PORTRAITS.values()]
    alike = np.stack(vectors) @ np.stack(vectors).T
    assert alike.shape == (4, 4)
    assert (alike - np.eye(4)).max() < 0.6


@pytest.mark.slow
async def test_known_faces_are_recognised_first_among_240(vggface2: ModelFiles, shared: Path) -> None:
    """99 % and more of 240 photos of 120 people, against two other photos of each; with default settings."""
    folder = shared / "faces" / "lfw_mini"
    with (folder / "index.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["role"] in ("gallery", "probe")]
    engine = await open_engine(Settings(), vggface2)

    async def embedding(row: dict[str, str]) -> Embedding:
        [face] = (await engine.observe((folder / row["path"]).read_bytes(), in_the_middle, Timings())).faces
        return face.embedding

    vectors = []
    for start in range(0, len(rows), 100):  # no more at once than may wait
        vectors += await asyncio.gather(*(embedding(row) for row in rows[start : start + 100]))
    embeddings = np.stack(vectors)
    await engine.close()
    known = np.array([row["role"] == "gallery" for row in rows])
    people = np.array([row["identity"] for row in rows])
    assert known.sum() == (~known).sum() == 240
    nearest = (embeddings[~known] @ embeddings[known].T).argmax(axis=1)
    assert (people[known][nearest] == people[~known]).mean() >= 0.99
