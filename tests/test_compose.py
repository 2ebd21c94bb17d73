"""The containers: what may be checked of docker-compose.yml, Dockerfile and `make up` without a Docker engine."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service import __version__
from service.settings import Settings
from service.variables import variable
from tests.support.certificates import made, needs_openssl

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = ("service", "service-gpu", "admin")
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")  # continued lines joined


@contextmanager
def answering(status: int, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on this machine that answers every request so, over TLS where it has what that needs."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert self.path == "/readyz"
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def rendered(folder: Path, profile: str, env: str) -> subprocess.CompletedProcess[str]:
    """What docker-compose makes of docker-compose.yml beside a `.env` that says this."""
    if shutil.which("docker-compose") is None:
        pytest.skip("needs docker-compose, Debian's package of that name")
    shutil.copy(ROOT / "docker-compose.yml", folder)
    (folder / ".env").write_text(env)
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "qdrant_api_key").write_text("k")
    ours = ("QDRANT", "FACE", "COMPOSE", "IMAGE")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = ["docker-compose", "--profile", profile, "config"]
    return subprocess.run(command, check=False, cwd=folder, env=environ, capture_output=True, text=True)


def exit_status(command: list[str], **environ: str) -> int:
    return subprocess.run(command, check=False, env=os.environ | environ, capture_output=True, timeout=20).returncode


class TestCompose:
    """docker-compose.yml."""

    @pytest.mark.slow
    @pytest.mark.parametrize("profile", ["cpu", "gpu"])
    def test_docker_compose_accepts_it(self, tmp_path: Path, profile: str) -> None:
        """The file is valid, whatever else .env says."""
        for env in ("", "SERVICE_MEMORY=12g\nQDRANT_MEMORY=64g\nPUBLISH_ADDRESS=0.0.0.0\n"):
            said = rendered(tmp_path, profile, env)
            assert said.returncode == 0, said.stderr

    @pytest.mark.parametrize(("profile", "service"), [("cpu", "service"), ("gpu", "service-gpu")])
    def test_every_setting_of_env_reaches_the_service(self, tmp_path: Path, profile: str, service: str) -> None:
        """Also one that doesn't exist, so that the service refuses it; Qdrant's key alone comes from a file."""
        settings = {variable(each.name): f"value-of-{each.name}" for each in fields(Settings)} | {"FACE_PORT": "8080"}
        environ = {**settings, "FACE_TRESHOLD": "0.6"}
        said = rendered(tmp_path, profile, "".join(f"{name}={value}\n" for name, value in environ.items()))
        assert said.returncode == 0, said.stderr
        block = said.stdout.partition(f"\n  {service}:\n")[2].partition("\n    environment:\n")[2]
        there = dict(re.findall(r"^      (\w+): '?([^'\n]*)'?$", block.partition("\n    image:")[0], re.MULTILINE))
        assert there | environ == there
        assert there["FACE_QDRANT_API_KEY_FILE"] == "/run/secrets/qdrant_api_key"
        assert "8080" in said.stdout.partition(f"\n  {service}:\n")[2].partition("\n    ports:\n")[2][:60]

    @pytest.mark.slow
    def test_what_env_leaves_out_has_a_default(self, tmp_path: Path) -> None:
        """Qdrant beside it, JSON in the log, and on a GPU's machine the GPU."""
        said = rendered(tmp_path, "gpu", "")
        for line in ("FACE_QDRANT_URL: http://qdrant:6333", "FACE_LOG_FORMAT: json", "FACE_COMPUTE: cuda"):
            assert f"\n      {line}\n" in said.stdout

    def test_images_are_pinned(self) -> None:
        """An image that isn't built here has its whole version, and Qdrant's minor one is the client's."""
        foreign = [image for image in re.findall(r"image: (\S+)", COMPOSE) if not image.startswith("face-service:")]
        assert all(image.startswith("${QDRANT_IMAGE:-") for image in foreign)  # so that a digest can take its place
        assert foreign
        assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in foreign)
        server = re.search(r":-qdrant/qdrant:v(\d+\.\d+)\.", COMPOSE)
        client = re.search(r"^qdrant-client==(\d+\.\d+)\.", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
        assert server
        assert client is None or client[1] == server[1]

    def test_qdrant_is_private(self) -> None:
        """It reports nothing home, starts with the key of a file only, and is reached from this machine only."""
        assert 'QDRANT__TELEMETRY_DISABLED: "true"' in COMPOSE
        assert not re.findall(r"API_KEY: ", COMPOSE)
        assert "export QDRANT__SERVICE__API_KEY=" in COMPOSE
        ports = re.findall(r'^ +- "(\S+:\S+)"$', COMPOSE, re.MULTILINE)
        ours = "${PUBLISH_ADDRESS:-127.0.0.1}:${FACE_PORT:-5055}:${FACE_PORT:-5055}"
        assert [port for port in ports if not port.startswith("127.0.0.1:")] == [ours]

    @pytest.mark.process
    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, as the image has it")
    def test_entrypoint_of_qdrant(self, tmp_path: Path) -> None:
        """The image's own, with the file's key; where there is no key, it says what to do and doesn't start."""
        found = re.search(r"entrypoint:\n.*?- >-\n(.*?)\n    environment:", COMPOSE, re.DOTALL)
        assert found
        script = " ".join(found[1].split()).replace("$$", "$").replace("/run/secrets", str(tmp_path))
        own = tmp_path / "entrypoint.sh"
        own.write_text('#!/bin/sh\necho "started with $QDRANT__SERVICE__API_KEY"\n')
        own.chmod(0o755)
        for key, said in ((None, ""), ("", ""), ("hush\n", "started with hush\n")):
            if key is not None:
                (tmp_path / "qdrant_api_key").write_text(key)
            done = subprocess.run(["bash", "-c", script], check=False, cwd=tmp_path, capture_output=True, text=True)
            assert (done.returncode == 0, done.stdout) == (bool(said), said)
            assert said or "run make up" in done.stderr

    def test_what_is_kept_lies_in_volumes(self, tmp_path: Path) -> None:
        """Journals of imports in /data, and the files of devices and keys, which `admin` alone may change."""
        said = rendered(tmp_path, "cpu", "").stdout
        blocks = {name: said.partition(f"\n  {name}:\n")[2].partition("\n    volumes:\n")[2] for name in SERVICES}
        assert blocks["service"].startswith("    - data:/data:rw\n    - access:/access:ro\n")
        assert blocks["admin"].startswith("    - data:/data:rw\n    - access:/access:rw\n")
        assert "install --directory --mode=0700 --owner=face --group=face /data /access" in DOCKERFILE

    def test_every_container_is_confined(self, tmp_path: Path) -> None:
        """No capability, no new rights, a root that can't be written, and limits that a rootless engine may grant."""
        said = rendered(tmp_path, "gpu", "").stdout
        assert said.count("    read_only: true\n") == said.count("    pids_limit: ") == len(SERVICES) + 1
        assert len(re.findall(r"^    mem_limit: \S", said, re.MULTILINE)) == len(SERVICES) + 1
        assert "ulimits" not in COMPOSE

    def test_settings_exist(self) -> None:
        """Every FACE_* variable that it names is one."""
        named = set(re.findall(r"\bFACE_[A-Z_]+[A-Z]", COMPOSE))
        secrets = {name.removesuffix("_FILE") for name in named if name.endswith("_FILE")}
        assert {name for name in named if not name.endswith("_FILE")} | secrets <= {
            variable(each.name) for each in fields(Settings)
        }

    @pytest.mark.process
    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, as the image has it")
    def test_health_check_of_qdrant(self) -> None:
        """Healthy is who answers /readyz with 200; who refuses or isn't there is not."""
        found = re.search(r"healthcheck:\n.*?- >-\n(.*?)\n      interval:", COMPOSE, re.DOTALL)
        assert found
        script = " ".join(found[1].split()).replace("$$", "$")
        with answering(200) as port:
            assert exit_status(["bash", "-c", script.replace("6333", str(port))]) == 0
        with answering(503) as port:
            assert exit_status(["bash", "-c", script.replace("6333", str(port))]) != 0
        assert exit_status(["bash", "-c", script.replace("6333", str(port))]) != 0


class TestDockerfile:
    """Dockerfile and .dockerignore."""

    def test_it_runs_as_nobody_in_particular(self) -> None:
        """The last user is a number other than root's, which Kubernetes can check, and the signal is SIGTERM."""
        users = re.findall(r"^USER (\d+)", DOCKERFILE, re.MULTILINE)
        assert users
        assert users[-1] != "0"
        assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE

    def test_it_copies_what_is_there(self) -> None:
        """Every source exists, and .dockerignore lets through these and nothing else."""
        lines = [line.split() for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)]
        sources = {source.rstrip("/") for line in lines for source in line[:-1]}
        assert [source for source in sorted(sources) if not (ROOT / source).exists()] == []
        rules = (ROOT / ".dockerignore").read_text().splitlines()
        assert rules[1] == "*"
        allowed = {rule[1:] for rule in rules if rule.startswith("!")}
        assert sources <= allowed
        assert not [rule for rule in allowed if fnmatch.fnmatch(".env", rule) or "*" in rule]

    def test_it_leaves_the_tools_of_development_out(self) -> None:
        """What it installs names no group of pyproject.toml."""
        installs = re.findall(r"scripts/install\.py (.+)$", DOCKERFILE, re.MULTILINE)
        assert installs
        assert not [options for options in installs if "--group dev" in options]

    def test_what_builds_stays_behind(self) -> None:
        """The last stage takes the environment and the models from others; neither torch nor hatchling is in those."""
        last = DOCKERFILE.rpartition("\nFROM ")[2]
        assert set(re.findall(r"^COPY --from=(\w+) (\S+)", last, re.MULTILINE)) == {
            ("environment", "/opt/venv"),
            ("build", "/app/models"),
        }
        assert "RUN python scripts" not in last
        [environment] = re.findall(r"scripts/install\.py (.*) /opt/venv$", DOCKERFILE, re.MULTILINE)
        assert "--group" not in environment
        assert "\nARG TORCH=none\n" in DOCKERFILE

    def test_it_says_what_it_is(self) -> None:
        """The standard labels, with what pyproject.toml says; `make up` gives the version."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', DOCKERFILE))
        assert labels["title"] == project["name"]
        assert labels["description"] == project["description"]
        assert labels["licenses"] == project["license"]
        assert labels["version"] == "$VERSION"

    @pytest.mark.process
    def test_health_check(self) -> None:
        """Healthy is a service that answers /readyz with 200, whatever proxy the container has."""
        found = re.search(r"^HEALTHCHECK .*? CMD (.*)$", DOCKERFILE, re.MULTILINE)
        assert found
        command = [sys.executable, *json.loads(found[1])[1:]]
        proxy = {"http_proxy": "http://127.0.0.1:9"}
        with answering(200) as port:
            assert exit_status(command, FACE_PORT=str(port), **proxy) == 0
        with answering(503) as port:
            assert exit_status(command, FACE_PORT=str(port), **proxy) != 0
        assert exit_status(command, FACE_PORT=str(port)) != 0

    @needs_openssl
    @pytest.mark.process
    def test_health_check_of_a_service_with_a_certificate(self, tmp_path: Path) -> None:
        """Whoever made the certificate: the container asks itself."""
        found = re.search(r"^HEALTHCHECK .*? CMD (.*)$", DOCKERFILE, re.MULTILINE)
        assert found
        command = [sys.executable, *json.loads(found[1])[1:]]
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*made(tmp_path, "container"))
        for status, healthy in ((200, True), (503, False)):
            with answering(status, tls) as port:
                assert (exit_status(command, FACE_PORT=str(port), FACE_TLS_CERT="/cert.pem") == 0) is healthy


class TestMakeUp:
    """`make up`, with a script in the place of docker compose, which writes down what it is told."""

    def up(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it in a folder; `calls` there has what docker compose was told."""
        for name in ("Makefile", "docker-compose.yml", "scripts/containers.sh"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        compose = folder / "compose"
        compose.write_text('#!/bin/sh\necho "$@" >> calls\n')
        compose.chmod(0o755)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("FACE_", "COMPOSE_"))}
        line = ["make", "up", "COMPOSE=./compose", *words]
        return subprocess.run(line, check=False, cwd=folder, env=environ, capture_output=True, text=True)

    def env(self, folder: Path, *words: str) -> dict[str, str]:
        """What .env says after it."""
        done = self.up(folder, *words)
        assert done.returncode == 0, done.stderr
        assert (folder / ".env").stat().st_mode & 0o777 == 0o600
        lines = (folder / ".env").read_text().splitlines()
        assert len({line.partition("=")[0] for line in lines}) == len(lines)
        return dict(line.split("=", 1) for line in lines)

    @pytest.mark.process
    def test_makes_a_key(self, tmp_path: Path) -> None:
        """256 random bits, another key in each folder, kept from then on, and no business of git's."""
        folders = [tmp_path / "one", tmp_path / "other"]
        keys = []
        for folder in folders:
            folder.mkdir()
            self.env(folder)
            file = folder / "secrets" / "qdrant_api_key"
            keys.append(file.read_text())
            assert re.fullmatch(r"[0-9a-f]{64}", keys[-1])
            assert (
                file.parent.stat().st_mode & 0o777 == 0o700
            )  # others can't reach it; the container's user can read it
            assert file.stat().st_mode & 0o777 == 0o444
        assert keys[0] != keys[1]
        assert "API_KEY" not in "".join(self.env(folders[0]))
        assert (folders[0] / "secrets" / "qdrant_api_key").read_text() == keys[0]
        assert {".env", "secrets/"} < set((ROOT / ".gitignore").read_text().splitlines())

    @pytest.mark.process
    def test_the_project_has_one_name(self, tmp_path: Path) -> None:
        """In whatever folder: an upgrade in another one finds the volumes."""
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            assert self.env(tmp_path / name)["COMPOSE_PROJECT_NAME"] == "face-service"

    @pytest.mark.process
    def test_an_older_version_keeps_its_key_and_its_volumes(self, tmp_path: Path) -> None:
        """These were named after the folder; the key stood in .env, and leaves it."""
        folder = tmp_path / "_Face Service.2"
        folder.mkdir()
        (folder / ".env").write_text("QDRANT_API_KEY=mine\nCOMPOSE_PROFILES=gpu\nFACE_THRESHOLD=0.6")
        assert self.env(folder) == {
            "COMPOSE_PROFILES": "gpu",
            "FACE_THRESHOLD": "0.6",
            "COMPOSE_PROJECT_NAME": "faceservice2",
        }
        assert (folder / "secrets" / "qdrant_api_key").read_text() == "mine"

    @pytest.mark.process
    def test_another_profile_leaves_no_service_running(self, tmp_path: Path) -> None:
        """The old one goes once the new one's image is there; without a word, the profile stays."""
        told = {}
        for profile in (("PROFILE=gpu",), (), ("PROFILE=cpu",)):
            told[profile] = self.env(tmp_path, *profile)["COMPOSE_PROFILES"]
        assert list(told.values()) == ["gpu", "gpu", "cpu"]
        up = ["build", "rm --stop --force service", "up --detach"]
        assert (tmp_path / "calls").read_text().splitlines() == [
            *(up * 2),
            *("build", "rm --stop --force service-gpu", "up --detach"),
        ]
        refused = self.up(tmp_path, "PROFILE=tpu")
        assert refused.returncode != 0
        assert "PROFILE is cpu or gpu, not tpu." in refused.stderr

    @pytest.mark.process
    def test_the_door_is_open_to_the_network_only_where_somebody_is_asked(self, tmp_path: Path) -> None:
        """With devices or keys, or where .env says in so many words that everybody may come."""
        env = tmp_path / ".env"
        assert "PUBLISH_ADDRESS" not in self.env(tmp_path)
        env.write_text("FACE_DEVICES=/access/devices.toml\n")
        assert self.env(tmp_path)["PUBLISH_ADDRESS"] == "0.0.0.0"
        env.write_text("FACE_KEYS=/access/keys.toml\nPUBLISH_ADDRESS=192.0.2.1\n")
        assert self.env(tmp_path)["PUBLISH_ADDRESS"] == "192.0.2.1"
        for address in ("0.0.0.0", "192.0.2.1", "::", "face.example"):
            env.write_text(f"PUBLISH_ADDRESS={address}\nFACE_DEVICES=\n")
            refused = self.up(tmp_path)
            assert refused.returncode != 0
            assert f"PUBLISH_ADDRESS={address} lets everybody" in refused.stderr
            env.write_text(f"PUBLISH_ADDRESS={address}\nOPEN_TO_ALL=yes\n")
            assert self.env(tmp_path)["PUBLISH_ADDRESS"] == address
        for address in ("127.0.0.1", "127.0.0.2", "localhost", "[::1]"):
            env.write_text(f"PUBLISH_ADDRESS={address}\n")
            assert self.env(tmp_path)["PUBLISH_ADDRESS"] == address

    @pytest.mark.process
    def test_tells_the_image_its_version(self, tmp_path: Path) -> None:
        """For its label, out of the one place where it is written."""
        (tmp_path / "service").mkdir()
        shutil.copy(ROOT / "service" / "__init__.py", tmp_path / "service")
        shutil.copy(ROOT / "Makefile", tmp_path)
        done = subprocess.run(["make", "-n", "up"], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert f"\nIMAGE_VERSION={__version__} " in done.stdout

    @pytest.mark.process
    def test_refuses_a_setting_of_the_shell(self, tmp_path: Path) -> None:
        """It would not reach the containers: with FACE_DEVICES, the door would stand open."""
        script = ROOT / "scripts" / "containers.sh"
        environ = {**os.environ, "FACE_DEVICES": "devices.toml"}
        done = subprocess.run(["sh", script], check=False, cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode != 0
        assert "FACE_DEVICES\nThe containers take settings from .env alone" in done.stderr
        assert not (tmp_path / ".env").exists()

    @pytest.mark.process
    def test_leaves_alone_what_is_there(self, tmp_path: Path) -> None:
        """Settings of one's own stay as they are and where they are, even where the last line lacks its end."""
        (tmp_path / ".env").write_text("# mine\nCOMPOSE_PROJECT_NAME=ours\nCOMPOSE_PROFILES=gpu\nFACE_THRESHOLD=0.6")
        assert self.up(tmp_path).returncode == 0
        assert (tmp_path / ".env").read_text().splitlines() == [
            *("# mine", "COMPOSE_PROJECT_NAME=ours", "COMPOSE_PROFILES=gpu", "FACE_THRESHOLD=0.6"),
        ]

    @pytest.mark.process
    def test_pins_images_by_their_digests(self, tmp_path: Path) -> None:
        """`make pin`, with a script in the place of docker: compose and the build take what .env says then."""
        for name in ("Makefile", "docker-compose.yml", "Dockerfile"):
            shutil.copy(ROOT / name, tmp_path)
        docker = tmp_path / "docker"
        docker.write_text('#!/bin/sh\n[ "$1" = pull ] || echo "somewhere.example/x@sha256:$(printf %064d 7)"\n')
        docker.chmod(0o755)
        (tmp_path / ".env").write_text("QDRANT_IMAGE=old\nFACE_THRESHOLD=0.6\n")
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        for _ in range(2):
            subprocess.run(["make", "pin"], cwd=tmp_path, env=environ, check=True, capture_output=True)
            digest = f"@sha256:{'7'.zfill(64)}"
            qdrant = re.search(r"\$\{QDRANT_IMAGE:-(\S+)\}", COMPOSE)
            assert qdrant
            assert sorted((tmp_path / ".env").read_text().splitlines()) == [
                "FACE_THRESHOLD=0.6",
                f"PYTHON_IMAGE=python:3.12-slim{digest}",
                f"QDRANT_IMAGE={qdrant[1]}{digest}",
            ]
        assert DOCKERFILE.count("\nFROM ${PYTHON_IMAGE}") == 2
