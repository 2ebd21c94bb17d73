"""CompreFace's own SDKs in Python and JavaScript, unchanged, against a running service that asks for keys."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import MODELS
from tests.http.rest_api.conftest import no_face
from tests.support.compreface_sdks import fetch_javascript, fetch_python
from tests.support.keys import CONSOLE, NOBODYS, keys_file
from tests.support.processes import Running, launch, listening

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

__all__ = ["no_face"]

IN_PYTHON = """
import json, sys
from compreface import CompreFace

port, key = sys.argv[1:]
options = {"limit": 0, "det_prob_threshold": 0.8, "prediction_count": 1, "face_plugins": "landmarks", "status": "true"}
service = CompreFace("http://127.0.0.1", port, options)
recognition = service.init_face_recognition(key)
faces, subjects = recognition.get_face_collection(), recognition.get_subjects()
told = {"before": subjects.delete_all()}
told["added"] = [faces.add("obama.jpg", "Zoë 張"), faces.add(open("obama2.jpg", "rb").read(), "Zoë 張")]
told["other"] = faces.add("biden.jpg", "Bob")
told["listed"], told["subjects"] = faces.list(), subjects.list()
if "code" not in told["other"]:
    told["recognized"] = recognition.recognize("obama3.jpg")
    told["compared"] = faces.verify("obama3.jpg", told["added"][0]["image_id"])
    told["verified"] = service.init_face_verification(key).verify("obama.jpg", "obama3.jpg")
    told["detected"] = service.init_face_detection(key).detect("obama.jpg")
    told["none"] = recognition.recognize("cat.jpg")
    told["new"], told["renamed"] = subjects.add("Cat"), subjects.update("Zoë 張", "Zoe")
    told["deleted"] = [faces.delete(told["other"]["image_id"]), faces.delete_all("Zoe"), subjects.delete("Zoe")]
print(json.dumps(told))
"""

IN_JAVASCRIPT = """
import { readFileSync } from "node:fs";
import { CompreFace } from "@exadel/compreface-js-sdk";

const [port, key] = process.argv.slice(2);
const print = console.log;
console.log = () => {};  // the SDK writes keys there
const service = new CompreFace("http://127.0.0.1", Number(port));
const recognition = service.initFaceRecognitionService(key);
const faces = () => recognition.getFaceCollection(), subjects = () => recognition.getSubjects();
const options = { limit: 0, det_prob_threshold: 0.8, prediction_count: 1, face_plugins: "landmarks", status: "true" };
const base64 = (name) => readFileSync(name).toString("base64");
const failure = (error) => error.response.data;
const told = { before: await subjects().deleteAll().catch(failure) };
told.added = [
  await faces().add("./obama.jpg", "Zoe B", {}).catch(failure),
  await faces().add(base64("obama2.jpg"), "Zoe B", {}).catch(failure),
];
told.other = await faces().add("./biden.jpg", "Bob", {}).catch(failure);
told.listed = await faces().list().catch(failure);
told.subjects = await subjects().list().catch(failure);
if (!("code" in told.other)) {
  told.recognized = await recognition.recognize("./obama3.jpg", options);
  told.compared = await faces().verify("./obama3.jpg", told.added[0].image_id, options);
  const verification = service.initFaceVerificationService(key);
  told.verified = await verification.verify(base64("obama.jpg"), base64("obama3.jpg"), options);
  told.detected = await service.initFaceDetectionService(key).detect("./obama.jpg", options);
  told.none = await recognition.recognize("./cat.jpg", options).catch(failure);
  told.new = await subjects().add("Cat");
  told.renamed = await subjects().rename("Zoe B", "Zoe");
  told.deleted = [
    ...(await faces().delete_multiple_images([told.other.image_id])),
    await faces().delete_all_subject("Zoe"),
    await subjects().delete("Zoe").catch(failure),
  ];
}
print(JSON.stringify(told));
"""


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, bytes], no_face: bytes) -> Path:
    """A folder with the portraits and a cat."""
    folder = tmp_path_factory.mktemp("album")
    for name, photo in (*portraits.items(), ("cat", no_face)):
        (folder / f"{name}.jpg").write_bytes(photo)
    return folder


@pytest.fixture(params=["python", "javascript"])
def client(request: pytest.FixtureRequest, album: Path, pytestconfig: pytest.Config) -> list[str]:
    """The command of a program with the SDK; port and key follow."""
    cache = pytestconfig.cache.mkdir("compreface-sdks")
    if request.param == "python":
        (album / "client.py").write_text(IN_PYTHON, "utf-8")
        return [str(fetch_python(cache)), "client.py"]
    if missing := [each for each in ("node", "npm") if shutil.which(each) is None]:
        pytest.skip(f"needs {' and '.join(missing)}")
    (album / "client.mjs").write_text(IN_JAVASCRIPT, "utf-8")
    modules = album / "node_modules"
    if not modules.exists():
        modules.symlink_to(fetch_javascript(cache))
    return ["node", "client.mjs"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service with CompreFace's API that asks for keys."""
    folder = tmp_path_factory.mktemp("compreface")
    environ = {
        "FACE_DATA": str(folder / "data"),
        "FACE_MODEL_DIR": str(MODELS),
        "FACE_MODEL": "casia-webface",
        "FACE_KEYS": str(keys_file(folder / "keys.toml")),
        "FACE_COMPREFACE": "on",
    }
    service = await listening(await launch(environ))
    try:
        yield service
    finally:
        await service.kill()


def ask(client: list[str], service: Running, album: Path, key: str) -> dict[str, Any]:
    """What the program was answered."""
    command = [*client, str(service.port), key]
    done = subprocess.run(command, cwd=album, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def test_it_finds_all_that_it_looks_for(client: list[str], running: Running, album: Path) -> None:
    """Every function of its services, with the answers that CompreFace would give."""
    told = ask(client, running, album, CONSOLE)
    assert told["before"] == {"deleted": 0}
    name = told["added"][0]["subject"]
    assert name in {"Zoë 張", "Zoe B"}
    ids = [each["image_id"] for each in (*told["added"], told["other"])]
    assert [(each["image_id"], each["subject"]) for each in told["listed"]["faces"]] == [
        (ids[0], name),
        (ids[1], name),
        (ids[2], "Bob"),
    ]
    assert told["subjects"]["subjects"] == ["Bob", name]
    [face] = told["recognized"]["result"]
    assert set(face) == {"box", "landmarks", "subjects", "execution_time"}
    assert face["subjects"][0]["subject"] == name
    assert 0.5 < face["subjects"][0]["similarity"] < 1
    assert told["recognized"]["plugins_versions"]["calculator"] == "facenet.casia-webface"
    assert told["compared"]["result"][0]["similarity"] > 0.5
    assert told["verified"]["result"][0]["face_matches"][0]["similarity"] > 0.5
    assert len(told["detected"]["result"]) == 1
    assert told["none"]["code"] == 28
    assert told["new"] == {"subject": "Cat"}
    assert told["renamed"] == {"updated": True}
    deleted, count, gone = told["deleted"]
    assert deleted == {"image_id": ids[2], "subject": "Bob"}
    assert count == {"deleted": 2}
    assert gone["code"] == 42


async def test_it_hears_that_its_key_is_not_known(client: list[str], running: Running, album: Path) -> None:
    told = ask(client, running, album, NOBODYS)
    assert {each["code"] for each in (told["before"], *told["added"], told["other"], told["listed"])} == {10}
