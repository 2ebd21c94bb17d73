"""The wheel: what it holds, and that it works where nothing of the project is but what the wheel brought."""

from __future__ import annotations

import asyncio
import email
import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest
from aiohttp import ClientSession

from service import __version__
from service.models.selection import ModelFiles
from service.stores.edge.link import EdgeLink
from tests.conftest import MODELS
from tests.support.device import Device
from tests.support.processes import Running, gallery_process, listening, until

ROOT = Path(__file__).parents[1]

HOSTILE = 'raise SystemExit("A module of the working folder was imported.")\n'


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the backend that the lock pins."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    [wheel] = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment with the wheel in it.

    Its other packages are those that the tests run with, since installing them anew takes minutes.
    """
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    options = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel)], check=True)
    [site_packages] = venv.glob("lib/python*/site-packages")
    (site_packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose modules would be imported in the place of ours, of the standard library's and of others'."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("service", "indexer", "pickle", "logging", "runpy", "numpy", "qdrant_edge"):
        (folder / f"{name}.py").write_text(HOSTILE)
    return folder


@pytest.mark.slow
@pytest.mark.process
class TestWheel:
    def test_it_holds_the_two_packages_and_nothing_else(self, wheel: Path) -> None:
        """Every module of theirs and what those show, and neither tests nor scripts nor models."""
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
        metadata = {name for name in names if name.startswith(f"face_service-{__version__}.dist-info/")}
        files = (path for top in ("service", "indexer") for path in (ROOT / top).rglob("*") if path.is_file())
        ours = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
        assert names - metadata == ours

    def test_what_it_depends_on_can_be_resolved(self, wheel: Path) -> None:
        """Exact versions without facenet-pytorch, whose pins contradict them; the rest is in extras."""
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(f"face_service-{__version__}.dist-info/METADATA").decode()
        metadata = email.message_from_string(text)
        required = metadata.get_all("Requires-Dist", [])
        assert metadata["Version"] == __version__
        assert all("==" in each for each in required)
        assert not [each for each in required if each.startswith("facenet")]
        assert not [each for each in required if each.startswith("torch") and "extra == 'torch'" not in each]
        assert set(metadata.get_all("Provides-Extra", [])) == {"plots", "ray", "redis", "torch"}

    @pytest.mark.process
    @pytest.mark.parametrize("command", ["face-service", "face-indexer"])
    def test_its_commands_say_their_version_and_help(self, scripts: Path, hostile: Path, command: str) -> None:
        """From any folder, whatever lies in it."""
        for option, expected in (("--version", f"{command} {__version__}\n"), ("--help", f"usage: {command} ")):
            done = subprocess.run([scripts / command, option], check=False, cwd=hostile, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith(expected)

    @pytest.mark.process
    async def test_the_service_runs_in_a_hostile_folder(
        self, scripts: Path, hostile: Path, tmp_path: Path, files: ModelFiles, portraits: dict[str, bytes]
    ) -> None:
        """It names itself first, registers and recognises, and so does its gallery's process when it is replaced."""
        environ = {
            "FACE_DATA": str(tmp_path / "data"),
            "FACE_MODEL_DIR": str(MODELS),
            "FACE_MODEL": files.contract.model,
            "FACE_HOST": "127.0.0.1",
            "FACE_PORT": "0",
        }
        process = await asyncio.create_subprocess_exec(
            scripts / "face-service",
            env={name: value for name, value in os.environ.items() if not name.startswith("FACE_")} | environ,
            cwd=hostile,
            stdin=DEVNULL,
            stderr=PIPE,
            start_new_session=True,
        )
        service = Running(process, tmp_path / "data")
        try:
            await listening(service)
            assert f"Face service {__version__}, Python {sys.version.split()[0]}, " in service.log.splitlines()[0]
            async with ClientSession(service.url) as session:
                device = Device(session)
                await device.register(portraits["obama"], "obama")
                first = gallery_process(service.data)
                assert first is not None
                os.kill(first, signal.SIGKILL)
                await until(lambda: gallery_process(service.data) not in {None, first})
                assert [match["remark"] for match in await device.recognise(portraits["obama2"])] == ["obama"]
            service.signal(signal.SIGTERM)
            assert await service.ended() == 0
        finally:
            await service.kill()


@pytest.mark.process
async def test_the_gallerys_process_ignores_the_working_folder(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a service that runs from a checkout, it finds the checkout's modules, and none where that was started."""
    monkeypatch.chdir(hostile)
    link = EdgeLink(tmp_path / "gallery", request_limit_s=20)
    try:
        assert await link.open() is None
    finally:
        await link.close()
