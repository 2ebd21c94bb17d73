"""The clients for devices, in Python and in shell: they sign as the vectors say, and a service lets them in."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from scripts.device_client import canonical_query, signed_headers
from tests.conftest import MODELS
from tests.devices.test_signatures import VECTORS
from tests.support.processes import ROOT, launch, listening
from tests.support.signing import OTHER_SECRET, SECRET, devices_file

pytestmark = pytest.mark.process

PYTHON = ROOT / "scripts" / "device_client.py"
SHELL = ROOT / "scripts" / "device_client.sh"
SHELLS = [each for each in ("sh", "dash", "bash", "busybox") if shutil.which(each)]

needs_shell = pytest.mark.skipif(
    not all(shutil.which(each) for each in ("sh", "openssl", "curl")), reason="needs sh, openssl and curl"
)


def secret_file(folder: Path, secret: str = SECRET) -> Path:
    path = folder / "secret"
    path.write_text(f"{secret}\n")
    return path


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_python_signs_as_the_vectors_say(vector: dict[str, str]) -> None:
    """From the parameters as a device has them, not yet encoded."""
    path, _, query = vector["target"].partition("?")
    parameters = {}
    for piece in query.split("&") if query else []:
        name, _, value = piece.replace("+", " ").partition("=")
        parameters[unquote(name)] = unquote(value)
    text = canonical_query(parameters)
    image = bytes.fromhex(vector["image_hex"])
    headers = signed_headers(
        *(vector["device_id"], vector["secret"], vector["method"], path, text, image),
        timestamp=int(vector["timestamp"]),
        nonce=vector["nonce"],
    )
    assert text == vector["canonical"].split("\n")[3]
    assert headers["X-Content-SHA256"] == vector["content_sha256"]
    assert headers["X-Signature"] == vector["signature"]


ARGUMENTS: dict[str, Callable[[Path, str], list[str]]] = {
    "/registration_face": lambda photo, value: ["register", str(photo), value],
    "/recognition_face": lambda photo, _: ["recognise", str(photo)],
    "/get_registration_face": lambda *_: ["list"],
    "/delete_registration_face": lambda _, value: ["delete", value],
}


@pytest.mark.slow
@needs_shell
@pytest.mark.parametrize("shell", SHELLS)
def test_shell_signs_as_the_vectors_say(tmp_path: Path, shell: str) -> None:
    """In every shell that there is; those vectors whose query the script makes."""
    signed = 0
    for vector in VECTORS:
        path, _, query = vector["target"].partition("?")
        value = unquote(query.partition("=")[2].replace("+", " "))
        if "&" in query or "\0" in value or (path == "/get_registration_face" and query):
            continue
        photo = tmp_path / "a photo; type=x"
        photo.write_bytes(bytes.fromhex(vector["image_hex"]))
        fixed = ["-d", vector["device_id"], "-t", vector["timestamp"], "-n", vector["nonce"], "-p"]
        secret = ["-s", str(secret_file(tmp_path, vector["secret"]))]
        command = [shell, *(["sh"] if shell == "busybox" else []), str(SHELL), *fixed, *secret, "http://x"]
        done = subprocess.run([*command, *ARGUMENTS[path](photo, value)], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(vector["canonical"] + "\n\n")
        assert f"\nX-Signature: {vector['signature']}\n" in done.stdout
        signed += 1
    assert signed >= 9


def python_command(url: str, device: str, secret: Path) -> list[str]:
    return [sys.executable, "-S", "-E", str(PYTHON), "--device", device, "--secret-file", str(secret), url]


def shell_command(url: str, device: str, secret: Path) -> list[str]:
    return ["sh", str(SHELL), "-d", device, "-s", str(secret), url]


def asked(command: list[str], **environ: str) -> dict[str, Any]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **environ})
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
@needs_shell
async def test_a_service_lets_them_in(tmp_path: Path, portraits: dict[str, bytes]) -> None:
    """Both register, recognise, list and delete; a wrong secret is 1002; so does requests, as the document shows."""
    photo = tmp_path / "a photo, of me; type=x"
    photo.write_bytes(portraits["obama"])
    secret = secret_file(tmp_path)
    (tmp_path / "wrong").mkdir()
    wrong = secret_file(tmp_path / "wrong", OTHER_SECRET)
    environ = {"FACE_DATA": str(tmp_path / "data"), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": "casia-webface"}
    path = devices_file(tmp_path / "devices.toml")
    running = await listening(await launch({**environ, "FACE_DEVICES": str(path)}))
    try:
        for client in (python_command, shell_command):
            command, remark = client(running.url, "door-7", secret), "Zoë & co / 100 % +1 張 😀"
            assert asked([*command, "register", str(photo), remark])["code"] == 0
            (match,) = asked([*command, "recognise", str(photo)])["data"]["recognition_face"]
            assert match["remark"] == remark
            (face,) = asked([*command, "list"])["data"]["all_face"]
            assert asked([*client(running.url, "door-7", wrong), "list"])["code"] == 1002
            assert asked([*client(running.url, "screen", secret), "delete", str(face["face_id"])])["code"] == 1003
            assert asked([*command, "delete", str(face["face_id"])])["code"] == 0
            assert asked([*command, "list"])["data"]["all_face"] == []
        query = canonical_query({"remark": "by requests"})
        headers = signed_headers("door-7", SECRET, "POST", "/registration_face", query, portraits["obama"])
        url = f"{running.url}/registration_face?{query}"
        answer = await asyncio.to_thread(
            requests.post, url, headers=headers, files={"image": portraits["obama"]}, timeout=30
        )
        assert answer.json()["code"] == 0
    finally:
        await running.kill()


@needs_shell
def test_no_command_line_shows_the_secret(tmp_path: Path) -> None:
    """Other users of a machine see the arguments of every process."""
    seen = tmp_path / "seen"
    for tool in ("openssl", "curl", "od", "tr", "cut", "awk", "date"):
        real = shutil.which(tool)
        (tmp_path / tool).write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{seen}"\nexec {real} "$@"\n')
        (tmp_path / tool).chmod(0o755)
    command = shell_command("http://127.0.0.1:9", "door-7", secret_file(tmp_path))
    done = subprocess.run(
        [*command, "list"],
        check=False,
        capture_output=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.returncode != 0  # nobody answers on that port
    assert "X-Signature" in seen.read_text()
    assert SECRET not in seen.read_text()
    assert SECRET.encode().hex() not in seen.read_text()


@pytest.mark.slow
@needs_shell
def test_mistakes(tmp_path: Path) -> None:
    """One sentence, no traceback, an exit status other than 0."""
    secret = secret_file(tmp_path)
    for client in (python_command, shell_command):
        for words in (["recognise", "none.jpg"], ["list"]):
            command = [*client("http://127.0.0.1:9", "door-7", secret), *words]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode != 0
            assert done.stderr.count("\n") == 1
        assert subprocess.run([*client("http://x", "door-7", tmp_path / "none"), "list"], check=False).returncode != 0
        assert (
            subprocess.run([*client("http://x", "door-7", secret), "lost"], check=False, capture_output=True).returncode
            == 2
        )
