"""The image for processors, as far as it can be made without a container engine: packages, size, service."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.bench import image
from service.models.selection import ModelFiles

LARGEST_MB = 900


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, files: ModelFiles) -> image.Image:
    return image.build(tmp_path_factory.mktemp("image"), files)


@pytest.mark.slow
@pytest.mark.process
class TestImage:
    @pytest.mark.process
    def test_it_is_small(self, built: image.Image) -> None:
        """With the base image, which is not measured here; without torch and the tools of development."""
        assert sum(built.megabytes.values()) + image.BASE_MB < LARGEST_MB
        listed = subprocess.run([built.venv / "bin" / "pip", "list"], capture_output=True, text=True, check=True).stdout
        held = {line.split()[0].lower() for line in listed.splitlines()}
        assert {"face-service", "openvino", "redis"} <= held
        assert not held & {
            "torch",
            "torchvision",
            "facenet-pytorch",
            "sympy",
            "networkx",
            "mypy",
            "pytest",
            "hatchling",
        }

    async def test_its_service_registers_and_recognises(
        self, built: image.Image, files: ModelFiles, portraits: dict[str, bytes], tmp_path: Path
    ) -> None:
        """From converted models; nothing of the checkout and none of its packages is on the path."""
        async with image.started(built, files.contract.model, tmp_path / "data") as url:
            assert await image.remembers(url, portraits["obama"])

    @pytest.mark.process
    @pytest.mark.parametrize(
        ("arguments", "environ", "sentence"),
        [
            (["prepare"], {"FACE_MODEL": "vggface2"}, "Converting a model needs the package torch; "),
            ([], {"FACE_MODEL": "casia-webface", "FACE_COMPUTE": "cuda"}, "FACE_COMPUTE=cuda, but"),
        ],
    )
    def test_what_it_cannot_do_is_refused_by_a_sentence(
        self, built: image.Image, tmp_path: Path, arguments: list[str], environ: dict[str, str], sentence: str
    ) -> None:
        """Conversion and GPUs need packages that it lacks."""
        done = subprocess.run(
            check=False,
            args=[built.venv / "bin" / "face-service", *arguments],
            env={"FACE_DATA": str(tmp_path / "data"), "FACE_MODEL_DIR": str(built.models), "FACE_PORT": "0", **environ},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 1
        assert sentence in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
