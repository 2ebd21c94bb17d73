"""Photos that CompreFace's API is asked about: recognised, verified, searched for faces."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter

from service.http.compreface import answers
from service.settings import Settings
from tests.conftest import MODELS, Start
from tests.http.compreface.conftest import (
    DETECT,
    FACES,
    RECOGNIZE,
    VERIFY,
    CompreFace,
    base64_of,
    form,
)
from tests.support.device import jpeg

pytestmark = pytest.mark.asyncio(loop_scope="module")


def is_box(box: dict[str, Any], width: int, height: int) -> None:
    """Whole pixels within the photo, and how sure the detector is."""
    assert set(box) == {"probability", "x_max", "y_max", "x_min", "y_min"}
    assert all(type(box[name]) is int for name in box if name != "probability")
    assert 0 <= box["x_min"] < box["x_max"] <= width
    assert 0 <= box["y_min"] < box["y_max"] <= height
    assert 0.9 < box["probability"] <= 1


class TestRecognize:
    async def test_every_face_has_the_subject_that_it_is_most_like(
        self, compreface: CompreFace, portraits: dict[str, bytes], two: bytes
    ) -> None:
        """The largest face first, with a similarity from 0 to 1; nobody is unknown, as with CompreFace."""
        await compreface.add(portraits["obama"], "Ann")
        await compreface.add(portraits["obama2"], "Ann")
        await compreface.add(portraits["astronaut"], "Zoë & co / 張 😀")
        answer = await compreface.about(two, RECOGNIZE)
        assert set(answer) == {"result"}
        first, second = answer["result"]
        for face in (first, second):
            assert set(face) == {"box", "subjects"}
            is_box(face["box"], 480, 300)
            [subject] = face["subjects"]
            assert set(subject) == {"subject", "similarity"}
            assert 0 <= subject["similarity"] <= 1
        assert first["subjects"][0]["subject"] == "Ann"
        assert first["subjects"][0]["similarity"] > 0.5 > second["subjects"][0]["similarity"]

    async def test_half_is_the_threshold_of_v1(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """So clients may keep 0.5, whatever the model and the size of the gallery; more similar is more."""
        await compreface.add(portraits["obama"], "Ann")
        await compreface.add(portraits["astronaut"], "Bob")
        told, threshold = [], 0.0
        for name in ("obama", "obama2", "obama3", "biden"):
            [face] = (await compreface.about(portraits[name], RECOGNIZE))["result"]
            headers = {"Content-Type": "image/jpeg"}
            async with compreface.http.post("/v1/identify", data=portraits[name], headers=headers) as response:
                answer = await response.json()
            threshold, [same] = answer["threshold"], answer["faces"]
            assert (face["subjects"][0]["similarity"] >= 0.5) == same["matched"]
            told.append((same["matches"][0]["score"], face["subjects"][0]["similarity"]))
        assert sorted(told) == sorted(told, key=lambda each: each[1])
        assert [similarity > 0.5 for _, similarity in told] == [True, True, True, False]
        assert answers.similarity(threshold, threshold) == 0.5

    async def test_parameters_say_how_much_is_told(
        self, compreface: CompreFace, portraits: dict[str, bytes], two: bytes
    ) -> None:
        """How many faces and subjects, which parts of the answer; what isn't there, such as ages, is left out."""
        for name in ("obama", "biden", "astronaut"):
            await compreface.add(portraits[name], name)
        query = "limit=1&prediction_count=2&det_prob_threshold=0.8&face_plugins=age,%20landmarks,calculator&status=True"
        answer = await compreface.about(two, f"{RECOGNIZE}?{query}")
        assert answer["plugins_versions"] == {"detector": "facenet.MTCNN", "calculator": "facenet.casia-webface"}
        [face] = answer["result"]
        assert set(face) == {"box", "subjects", "landmarks", "embedding", "execution_time"}
        assert face["subjects"][0]["subject"] == "obama"
        assert len(face["subjects"]) == 2
        assert len(face["landmarks"]) == 5
        assert all(type(number) is int for point in face["landmarks"] for number in point)
        assert sum(number**2 for number in face["embedding"]) == pytest.approx(1, abs=1e-3)
        assert set(face["execution_time"]) == {"detector", "calculator"}
        assert all(ms > 0 for ms in face["execution_time"].values())
        [face, other] = (await compreface.about(two, f"{RECOGNIZE}?limit=0&prediction_count=-1"))["result"]
        assert len(face["subjects"]) == 3
        assert other["subjects"][0]["subject"] == "biden"

    async def test_clients_write_urls_in_many_ways(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """A leading `&`, empty parameters, ones that nobody knows, a slash at the end."""
        for query in ("?&limit=0", "?face_plugins=&status=", "?new=1&limit=1&limit=2", "/?status=false"):
            assert len((await compreface.about(portraits["obama"], f"{RECOGNIZE}{query}"))["result"]) == 1

    async def test_an_empty_gallery_knows_nobody(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        [face] = (await compreface.about(portraits["obama"], RECOGNIZE))["result"]
        assert face["subjects"] == []

    async def test_photos_may_be_base64_in_json(self, compreface: CompreFace, portraits: dict[str, bytes]) -> None:
        """Also as the data URI that browsers make."""
        photo = base64_of(portraits["obama"])
        for file in (photo, f"data:image/jpeg;base64,{photo}"):
            answer = await compreface.ask("POST", RECOGNIZE, json={"file": file, "other": 1})
            assert len(answer["result"]) == 1

    async def test_a_photo_without_a_clear_face_has_none(
        self, compreface: CompreFace, portraits: dict[str, bytes], no_face: bytes
    ) -> None:
        """A cat's, one whose face is a smear, and one where the detector should be surer: 28, on which clients rely."""
        with Image.open(io.BytesIO(portraits["obama"])) as photo:
            smear = jpeg(photo.filter(ImageFilter.GaussianBlur(9)))
        for image, query in ((no_face, ""), (smear, "")):
            await compreface.fails(400, 28, "POST", f"{RECOGNIZE}{query}", data=form(file=image))


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(("threshold", "half"), [(-1.0, 0.7), (0.4, 0.4)])
async def test_where_nothing_was_measured_half_is_a_usual_threshold(
    start: Start, tmp_path: Path, portraits: dict[str, bytes], threshold: float, half: float
) -> None:
    """Of bare cosines, for one; unless the operator sets one."""
    settings = Settings(data=tmp_path, model_dir=MODELS, model="casia-webface", score="cosine", threshold=threshold)
    compreface = CompreFace(await start(replace(settings, compreface=True)))
    await compreface.add(portraits["obama"], "Ann")
    [face] = (await compreface.about(portraits["obama2"], RECOGNIZE))["result"]
    async with compreface.http.post(
        "/v1/identify", data=portraits["obama2"], headers={"Content-Type": "image/jpeg"}
    ) as response:
        [same] = (await response.json())["faces"]
    expected = answers.similarity(same["matches"][0]["similarity"], half)
    assert face["subjects"][0]["similarity"] == pytest.approx(expected, abs=1e-3)


class TestVerify:
    async def test_two_photos_are_compared(
        self, compreface: CompreFace, portraits: dict[str, bytes], two: bytes
    ) -> None:
        """The only face of one with every face of the other, the largest first."""
        photos = {"source_image": portraits["biden"], "target_image": two}
        query = "?status=true&face_plugins=landmarks"
        answer = await compreface.ask("POST", VERIFY + query, data=form(**photos))
        [compared] = answer["result"]
        assert set(compared) == {"source_image_face", "face_matches", "plugins_versions"}
        assert set(compared["source_image_face"]) == {"box", "landmarks", "execution_time"}
        other, best = compared["face_matches"]
        assert set(best) == {"box", "landmarks", "execution_time", "similarity"}
        assert best["similarity"] > 0.5 > other["similarity"]
        assert best["box"]["x_min"] > other["box"]["x_max"]
        in_json = {name: base64_of(photo) for name, photo in photos.items()}
        [again] = (await compreface.ask("POST", f"{VERIFY}?limit=1", json=in_json))["result"]
        assert [each["box"] for each in again["face_matches"]] == [other["box"]]

    async def test_the_source_has_one_face(
        self, compreface: CompreFace, portraits: dict[str, bytes], two: bytes, no_face: bytes
    ) -> None:
        """With more it is 31, with none, in either photo, 28."""
        photo = portraits["obama"]
        for code, source, target in ((31, two, photo), (28, no_face, photo), (28, photo, no_face)):
            await compreface.fails(400, code, "POST", VERIFY, data=form(source_image=source, target_image=target))

    async def test_a_photo_is_compared_with_an_example(
        self, compreface: CompreFace, portraits: dict[str, bytes], two: bytes
    ) -> None:
        """Every face of it."""
        image_id = await compreface.add(portraits["obama2"], "Ann")
        answer = await compreface.about(two, f"{FACES}/{image_id}/verify?status=true")
        assert set(answer) == {"result", "plugins_versions"}
        best, other = answer["result"]
        assert set(best) == {"box", "similarity", "subject", "execution_time"}
        assert best["subject"] == "Ann"
        assert best["similarity"] > 0.5 > other["similarity"]
        [only] = (await compreface.ask("POST", f"{FACES}/{image_id}/verify?limit=1", json={"file": base64_of(two)}))[
            "result"
        ]
        assert only["box"] == best["box"]


class TestDetect:
    async def test_every_face_is_found(self, compreface: CompreFace, two: bytes, no_face: bytes) -> None:
        """With its embedding where the calculator is asked for."""
        answer = await compreface.about(two, DETECT)
        assert [set(face) for face in answer["result"]] == [{"box"}, {"box"}]
        for face in answer["result"]:
            is_box(face["box"], 480, 300)
        answer = await compreface.about(two, f"{DETECT}?limit=1&status=1&face_plugins=calculator,landmarks")
        [face] = answer["result"]
        assert set(face) == {"box", "landmarks", "embedding", "execution_time"}
        assert len(face["embedding"]) == 512
        await compreface.fails(400, 28, "POST", DETECT, data=form(file=no_face))

    async def test_the_detector_may_have_to_be_surer(self, compreface: CompreFace, two: bytes) -> None:
        """Up to a certainty that no face reaches."""
        found = (await compreface.about(two, DETECT))["result"]
        surest = max(face["box"]["probability"] for face in found)
        sure = (await compreface.about(two, f"{DETECT}?det_prob_threshold={surest - 1e-5}"))["result"]
        assert [face["box"]["probability"] for face in sure] == [surest]
