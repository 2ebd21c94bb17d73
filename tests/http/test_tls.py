"""The service's own certificate: spoken with, renewed, and refused where it can't be used."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.errors import InvalidSettings
from service.http.connection_limits import ConnectionLimits
from service.http.listening import HANDSHAKE_S, listen
from service.http.tls import Certificate, open_certificate
from tests.conftest import MODELS
from tests.support.certificates import made, needs_openssl
from tests.support.processes import ROOT, Running, launch, listening
from tests.support.signing import SECRET, devices_file

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def first(folder: Path) -> tuple[Path, Path]:
    return made(folder, "first")


@pytest.fixture(scope="module")
def second(folder: Path) -> tuple[Path, Path]:
    return made(folder, "second")


def copied(certificate: tuple[Path, Path], folder: Path) -> tuple[Path, Path]:
    """The same certificate and key in files of a test's own."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    shutil.copy(certificate[0], cert)
    shutil.copy(certificate[1], key)
    return cert, key


@asynccontextmanager
async def served(certificate: Certificate, at: socket.socket | None = None) -> AsyncIterator[int]:
    """The port of a server that greets whoever connects; a socket may listen already."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(
        greet, sock=at or socket.create_server(("127.0.0.1", 0)), ssl=certificate.context
    )
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def shown(port: int, trusted: Path, version: ssl.TLSVersion | None = None) -> str:
    """The name in the certificate that the port shows to a client which trusts that one only."""
    context = ssl.create_default_context(cafile=trusted)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    await reader.read()
    writer.close()
    return str(dict(pair for pairs in certificate["subject"] for pair in pairs)["commonName"])


class TestCertificate:
    async def test_a_renewed_one_is_taken_up(
        self, tmp_path: Path, first: tuple[Path, Path], second: tuple[Path, Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        """For new connections; half a renewal changes nothing, and the log says why."""
        cert, key = copied(first, tmp_path)
        certificate = Certificate(cert, key)
        async with served(certificate) as port:
            assert await shown(port, first[0]) == "first"
            shutil.copy(second[0], cert)
            certificate.reload()
            assert "is not the key of FACE_TLS_CERT" in caplog.text
            assert await shown(port, first[0]) == "first"
            shutil.copy(second[1], key)
            certificate.reload()
            assert await shown(port, second[0]) == "second"
            key.unlink()
            certificate.reload()
            assert "can't be read (No such file or directory)" in caplog.text
            assert await shown(port, second[0]) == "second"

    async def test_old_versions_are_refused(self, first: tuple[Path, Path]) -> None:
        """TLS 1.2 and 1.3 are spoken, and nothing before them."""
        certificate = Certificate(*first)
        assert certificate.context.minimum_version >= ssl.TLSVersion.TLSv1_2
        async with served(certificate) as port:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                assert await shown(port, first[0], version) == "first"

    async def test_handshakes_that_never_end_make_room(self, first: tuple[Path, Path]) -> None:
        """The one that began first, as an idle connection would, once it has had its time."""
        limits = ConnectionLimits(at_once=9, by_address=3, trusted=())
        [listener] = await listen("127.0.0.1", 0, limits)
        async with served(Certificate(*first), listener) as port:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            with pytest.raises((ConnectionError, ssl.SSLError)):
                await shown(port, first[0])
            await asyncio.sleep(HANDSHAKE_S + 0.1)
            assert await shown(port, first[0]) == "first"
            assert await asyncio.wait_for(silent[0][0].read(), 5) == b""
            assert limits.closed_by_reason["idle"] == 1
            for _, writer in silent:
                writer.close()

    def test_none(self) -> None:
        assert open_certificate(None, None) is None

    def test_what_cant_be_used(self, tmp_path: Path, first: tuple[Path, Path], second: tuple[Path, Path]) -> None:
        """Each with a sentence that names the setting."""
        text, folder, damaged = tmp_path / "text", tmp_path, tmp_path / "damaged.pem"
        text.write_text("no certificate")
        damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        locked = made(tmp_path, "locked", "-passout", "pass:secret")
        for cert, key, said in (
            (first[0], None, "go together"),
            (None, first[1], "go together"),
            (tmp_path / "none", first[1], f"FACE_TLS_CERT={tmp_path / 'none'} can't be read (No such file"),
            (first[0], tmp_path / "none", f"FACE_TLS_KEY={tmp_path / 'none'} can't be read (No such file"),
            (folder, first[1], "can't be read (Is a directory)"),
            (text, first[1], f"FACE_TLS_CERT={text} has no certificate in PEM"),
            (first[0], text, f"FACE_TLS_KEY={text} has no private key in PEM"),
            (first[1], first[0], "has no certificate in PEM"),
            (first[0], second[1], "FACE_TLS_KEY is not the key of FACE_TLS_CERT"),
            (damaged, first[1], "can't be used"),
            (*locked, "has a passphrase"),
        ):
            with pytest.raises(InvalidSettings) as refusal:
                open_certificate(cert, key)
            assert said in str(refusal.value)
            assert str(refusal.value).endswith(".")


@asynccontextmanager
async def running(tmp_path: Path, **settings: Path) -> AsyncIterator[Running]:
    environ = {name: str(value) for name, value in settings.items()}
    service = await launch(
        {"FACE_DATA": str(tmp_path / "data"), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": "casia-webface", **environ}
    )
    try:
        yield service
    finally:
        if service.process.returncode is None:
            service.signal(signal.SIGTERM)
            await service.ended()


@pytest.mark.slow
@pytest.mark.process
async def test_a_service_speaks_https(tmp_path: Path, first: tuple[Path, Path], second: tuple[Path, Path]) -> None:
    """With the clients for devices as they are; plain HTTP gets nothing; SIGHUP takes up a renewed certificate."""
    cert, key = copied(first, tmp_path)
    devices = devices_file(tmp_path / "devices.toml")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    async with running(tmp_path, FACE_TLS_CERT=cert, FACE_TLS_KEY=key, FACE_DEVICES=devices) as service:
        await listening(service)
        assert f"Running on https://127.0.0.1:{service.port}" in service.log
        for command in (
            [sys.executable, "scripts/device_client.py", "--device", "door-7", "--secret-file", tmp_path / "secret"],
            ["sh", "scripts/device_client.sh", "-d", "door-7", "-s", tmp_path / "secret"],
        ):
            environ = {**os.environ, "SSL_CERT_FILE": str(cert), "CURL_CA_BUNDLE": str(cert)}
            line = [*map(str, command), f"https://127.0.0.1:{service.port}", "list"]
            said = await asyncio.to_thread(
                subprocess.run, line, check=True, cwd=ROOT, env=environ, capture_output=True, text=True
            )
            assert json.loads(said.stdout)["code"] == 0
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in await reader.read()
        writer.close()
        shutil.copy(second[0], cert)
        shutil.copy(second[1], key)
        service.signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while await asyncio.to_thread(name_shown, service.port) != "second":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
    assert "Traceback" not in service.log


def name_shown(port: int) -> str:
    """The name in the certificate of whoever is there."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"], check=True, input=pem, capture_output=True, text=True
    )
    return said.stdout.rpartition("=")[2].strip()


@pytest.mark.slow
@pytest.mark.process
async def test_a_service_with_a_wrong_key_does_not_start(
    tmp_path: Path, first: tuple[Path, Path], second: tuple[Path, Path]
) -> None:
    async with running(tmp_path, FACE_TLS_CERT=first[0], FACE_TLS_KEY=second[1]) as service:
        assert await service.ended() == 1
    assert service.log.splitlines()[-1] == (
        "The service can't start: FACE_TLS_KEY is not the key of FACE_TLS_CERT; set the two that belong together."
    )
