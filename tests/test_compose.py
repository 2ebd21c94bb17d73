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
        """The file is valid with a key; without one, nothing starts, and the line says what to do."""
        for key, accepted in (("QDRANT_API_KEY=k\n", True), ("QDRANT_API_KEY=\n", False), ("", False)):
            said = rendered(tmp_path, profile, key)
            assert (said.returncode == 0) is accepted, said.stderr
            assert accepted or "run make up" in said.stderr

    @pytest.mark.parametrize(("profile", "service"), [("cpu", "service"), ("gpu", "service-gpu")])
    def test_every_setting_of_env_reaches_the_service(self, tmp_path: Path, profile: str, service: str) -> None:
        """Also one that doesn't exist, so that the service refuses it; the key alone has another name there."""
        settings = {variable(each.name): f"value-of-{each.name}" for each in fields(Settings)} | {"FACE_PORT": "8080"}
        environ = {**settings, "FACE_TRESHOLD": "0.6", "QDRANT_API_KEY": "the-key"}
        said = rendered(tmp_path, profile, "".join(f"{name}={value}\n" for name, value in environ.items()))
        assert said.returncode == 0, said.stderr
        block = said.stdout.partition(f"\n  {service}:\n")[2].partition("\n    environment:\n")[2]
        there = dict(re.findall(r"^      (\w+): '?([^'\n]*)'?$", block.partition("\n    image:")[0], re.MULTILINE))
        assert there | environ == there | {"FACE_QDRANT_API_KEY": environ["FACE_QDRANT_API_KEY"]}
        assert there["FACE_QDRANT_API_KEY"] == "the-key"
        assert "8080" in said.stdout.partition(f"\n  {service}:\n")[2].partition("\n    ports:\n")[2][:60]

    @pytest.mark.slow
    def test_what_env_leaves_out_has_a_default(self, tmp_path: Path) -> None:
        """Qdrant beside it, JSON in the log, and on a GPU's machine the GPU."""
        said = rendered(tmp_path, "gpu", "QDRANT_API_KEY=k\n")
        for line in ("FACE_QDRANT_URL: http://qdrant:6333", "FACE_LOG_FORMAT: json", "FACE_COMPUTE: cuda"):
            assert f"\n      {line}\n" in said.stdout

    def test_images_are_pinned(self) -> None:
        """An image that isn't built here has its whole version, and Qdrant's minor one is the client's."""
        foreign = [image for image in re.findall(r"image: (\S+)", COMPOSE) if not image.startswith("face-service:")]
        assert foreign
        assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in foreign)
        server = re.search(r"image: qdrant/qdrant:v(\d+\.\d+)\.", COMPOSE)
        client = re.search(r"^qdrant-client==(\d+\.\d+)\.", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
        assert server
        assert client is None or client[1] == server[1]

    def test_qdrant_is_private(self) -> None:
        """It reports nothing home, asks for a key that has no default, and is reached from this machine only."""
        assert 'QDRANT__TELEMETRY_DISABLED: "true"' in COMPOSE
        assert (
            len(re.findall(r"API_KEY: \$\{QDRANT_API_KEY:\?", COMPOSE)) == len(re.findall(r"API_KEY: ", COMPOSE)) == 2
        )
        ports = re.findall(r'^ +- "(\S+:\S+)"$', COMPOSE, re.MULTILINE)
        assert [port for port in ports if "127.0.0.1:" not in port] == ["${FACE_PORT:-5055}:${FACE_PORT:-5055}"]

    def test_settings_exist(self) -> None:
        """Every FACE_* variable that it names is one."""
        assert set(re.findall(r"\bFACE_[A-Z_]+[A-Z]", COMPOSE)) <= {variable(each.name) for each in fields(Settings)}

    @pytest.mark.process
    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, as the image has it")
    def test_health_check_of_qdrant(self) -> None:
        """Healthy is who answers /readyz with 200; who refuses or isn't there is not."""
        found = re.search(r"- >-\n(.*?)\n      interval:", COMPOSE, re.DOTALL)
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
    """`make up`, with `true` for docker compose."""

    def up(self, folder: Path) -> str:
        """Run it in a folder, and return what .env says then."""
        shutil.copy(ROOT / "Makefile", folder)
        subprocess.run(["make", "up", "COMPOSE=true"], cwd=folder, check=True, capture_output=True)
        assert (folder / ".env").stat().st_mode & 0o777 == 0o600
        return (folder / ".env").read_text()

    def test_makes_a_key(self, tmp_path: Path) -> None:
        """256 random bits, another key in each folder, kept from then on, and no business of git's."""
        folders = [tmp_path / "one", tmp_path / "other"]
        for folder in folders:
            folder.mkdir()
        keys = [re.findall(r"^QDRANT_API_KEY=([0-9a-f]{64})$", self.up(folder), re.MULTILINE) for folder in folders]
        assert [len(key) for key in keys] == [1, 1]
        assert keys[0] != keys[1]
        assert keys[0][0] in self.up(folders[0])
        assert self.up(folders[0]).count("QDRANT_API_KEY") == 1
        assert ".env" in (ROOT / ".gitignore").read_text().splitlines()

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
        shutil.copy(ROOT / "Makefile", tmp_path)
        command, environ = ["make", "up", "COMPOSE=true"], {**os.environ, "FACE_DEVICES": "devices.toml"}
        done = subprocess.run(command, check=False, cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode != 0
        assert "FACE_DEVICES\nThe containers take settings from .env alone" in done.stderr

    def test_leaves_alone_what_is_there(self, tmp_path: Path) -> None:
        """A key and settings of one's own stay, even where the last line lacks its end."""
        (tmp_path / ".env").write_text("COMPOSE_PROFILES=gpu\nQDRANT_API_KEY=mine\nFACE_THRESHOLD=0.6")
        assert self.up(tmp_path).split() == ["COMPOSE_PROFILES=gpu", "QDRANT_API_KEY=mine", "FACE_THRESHOLD=0.6"]
        (tmp_path / ".env").write_text("FACE_THRESHOLD=0.6")
        assert {"FACE_THRESHOLD=0.6", "COMPOSE_PROFILES=cpu"} < set(self.up(tmp_path).split())
