"""The programs of docs/clients.md, run as they stand there, each against a running service that asks for keys."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.conftest import MODELS
from tests.support.keys import CONSOLE, NOBODYS, bearing, keys_file
from tests.support.processes import ROOT, Running, launch, listening

pytestmark = [pytest.mark.process, pytest.mark.slow]

DOCUMENT = ROOT / "docs" / "clients.md"
REMARK = "Zoë & co / 張 😀"


def program(language: str) -> str:
    """The one block of code of that language."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    text: str = blocks[0]
    return text


def interpreted(folder: Path, language: str, name: str, *interpreter: str) -> list[str]:
    path = folder / name
    path.write_text(program(language), "utf-8")
    return [*interpreter, str(path)]


def compiled(folder: Path) -> list[str]:
    """The client in C, built by the command that the document gives, without a warning."""
    (folder / "identify.c").write_text(program("c"), "utf-8")
    (command,) = re.findall(r"`(cc identify\.c [^`]+)`", DOCUMENT.read_text("utf-8"))
    subprocess.run(["sh", "-c", f"{command} -Wall -Wextra -Werror"], cwd=folder, check=True)
    return [str(folder / "identify")]


@pytest.fixture(params=["sh", "python", "js", "c"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The command that runs a client; the photo's path follows."""
    tools = {"sh": ("sh", "curl", "jq"), "python": (), "js": ("node",), "c": ("cc", "curl-config")}[request.param]
    if missing := [each for each in tools if shutil.which(each) is None]:
        pytest.skip(f"needs {' and '.join(missing)}")
    match request.param:
        case "sh":
            return interpreted(tmp_path, "sh", "identify.sh", "sh")
        case "python":
            return interpreted(tmp_path, "python", "identify.py", sys.executable)
        case "js":
            return interpreted(tmp_path, "js", "identify.mjs", "node")
        case _:
            return compiled(tmp_path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, bytes]) -> AsyncIterator[Running]:
    """A service that asks for keys and knows obama under REMARK."""
    folder = tmp_path_factory.mktemp("clients")
    environ = {
        "FACE_DATA": str(folder / "data"),
        "FACE_MODEL_DIR": str(MODELS),
        "FACE_MODEL": "casia-webface",
        "FACE_KEYS": str(keys_file(folder / "keys.toml")),
    }
    service = await listening(await launch(environ))
    try:
        headers = {**bearing(CONSOLE), "Content-Type": "image/jpeg"}
        async with aiohttp.ClientSession() as session:
            url, photo = f"{service.url}/v1/faces", portraits["obama"]
            async with session.post(url, params={"remark": REMARK}, data=photo, headers=headers) as response:
                assert response.status == 201
        yield service
    finally:
        await service.kill()


def ask(client: list[str], service: Running, photo: Path, key: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SERVICE_URL": service.url, "SERVICE_KEY": key}
    return subprocess.run([*client, str(photo)], env=environ, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.asyncio(loop_scope="module")
async def test_it_says_who_is_in_the_photo(
    client: list[str], running: Running, portraits: dict[str, bytes], tmp_path: Path
) -> None:
    """A person by the remark, to the letter; a stranger as unknown, or by `matched` where it shows the answer."""
    for name, remark, matched in (("obama", REMARK, "true"), ("biden", "unknown", "false")):
        photo = tmp_path / f"{name} 1.jpg"
        photo.write_bytes(portraits[name])
        done = ask(client, running, photo, CONSOLE)
        assert done.returncode == 0, done.stderr
        if client[0].endswith("identify"):
            assert f'"matched":{matched},"matches":[{{"remark":"{REMARK}"' in done.stdout
        else:
            assert done.stdout == f"{remark}\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_it_says_why_it_was_refused(
    client: list[str], running: Running, portraits: dict[str, bytes], tmp_path: Path
) -> None:
    """In a sentence or by the code, and with an exit status that scripts see."""
    photo = tmp_path / "obama.jpg"
    photo.write_bytes(portraits["obama"])
    done = ask(client, running, photo, NOBODYS)
    assert done.returncode != 0
    assert "unknown_key" in done.stdout + done.stderr or "This key is not known here" in done.stderr
