"""https to a Qdrant server: authorities and certificates of one's own, and what is said where something doesn't fit."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web

from service.errors import InvalidSettings
from service.stores.qdrant.addresses import Certificates, connector
from service.stores.qdrant.nodes import Connect
from service.stores.qdrant.store import QdrantStore
from tests.support.availability import fails
from tests.support.certificates import made, needs_openssl
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import embedding, face

pytestmark = [pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS), pytest.mark.slow, needs_openssl]

Pair = tuple[Path, Path]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """The server's certificate, which is its own authority, and its key."""
    return made(tmp_path, "server")


@pytest.fixture
def client_pair(tmp_path: Path) -> Pair:
    return made(tmp_path, "client")


@pytest.fixture
async def secure(pair: Pair) -> AsyncIterator[Qdrant]:
    """A Qdrant that speaks TLS only."""
    cert, key = pair
    server = Qdrant(credentials=grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())]))
    await server.start()
    yield server
    await server.stop()


def reach(port: int, *, scheme: str = "https", **certificates: Any) -> Connect:
    return connector(
        url=f"{scheme}://127.0.0.1:6333", grpc_port=port, api_key=None, certificates=Certificates(**certificates)
    )


async def refuses(connect: Connect, match: str) -> None:
    """A start ends at once, with a sentence that helps."""
    store = QdrantStore(connect, "faces")
    await fails(store.open(), match)
    await store.close()


async def test_an_authority_of_ones_own(secure: Qdrant, opened: Any, pair: Pair) -> None:
    store = await opened(reach(secure.port, ca=pair[0]))
    await store.add(face(1), embedding(1))
    assert await store.count() == 1


async def test_a_certificate_of_the_services_own(opened: Any, pair: Pair, client_pair: Pair) -> None:
    """Where Qdrant asks its clients for one; without it, it hangs up."""
    credentials = grpc.ssl_server_credentials(
        [(pair[1].read_bytes(), pair[0].read_bytes())],
        root_certificates=client_pair[0].read_bytes(),
        require_client_auth=True,
    )
    server = Qdrant(credentials=credentials)
    await server.start()
    await refuses(reach(server.port, ca=pair[0]), "FACE_QDRANT_CERT")
    store = await opened(reach(server.port, ca=pair[0], cert=client_pair[0], key=client_pair[1]))
    assert await store.count() == 0
    await store.close()
    await server.stop()


async def test_a_certificate_that_is_not_trusted(secure: Qdrant, client_pair: Pair) -> None:
    """Neither without an authority nor with another one."""
    await refuses(reach(secure.port), "certificate is not trusted.*FACE_QDRANT_CA")
    await refuses(reach(secure.port, ca=client_pair[0]), "certificate is not trusted.*FACE_QDRANT_CA")


async def test_https_against_a_plain_port(server: Qdrant) -> None:
    await refuses(reach(server.port), "speaks no TLS; write http://")


async def test_http_against_a_port_with_tls(secure: Qdrant) -> None:
    await refuses(reach(secure.port, scheme="http"), "write so in FACE_QDRANT_URL")


async def test_the_rest_port_given_as_that_of_grpc() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    await refuses(reach(port, scheme="http"), "FACE_QDRANT_GRPC_PORT is not gRPC's")
    await runner.cleanup()


def test_files_that_cannot_be_used(tmp_path: Path, pair: Pair, client_pair: Pair) -> None:
    """One sentence that names the setting, before anything is sent."""
    cert, key = pair
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    locked = made(tmp_path, "locked", "-passout", "pass:secret")
    for certificates, match in (
        ({"ca": tmp_path / "absent.pem"}, "FACE_QDRANT_CA=.*can't be read"),
        ({"ca": tmp_path}, "FACE_QDRANT_CA=.*can't be read"),
        ({"ca": key}, "FACE_QDRANT_CA=.*has no certificate in PEM"),
        ({"ca": damaged}, "FACE_QDRANT_CA.*can't be used"),
        ({"cert": cert}, "go together"),
        ({"key": key}, "go together"),
        ({"cert": cert, "key": cert}, "FACE_QDRANT_CERT_KEY=.*has no private key in PEM"),
        ({"cert": cert, "key": client_pair[1]}, "can't be used"),
        ({"cert": locked[0], "key": locked[1]}, "can't be used"),
    ):
        with pytest.raises(InvalidSettings, match=match):
            reach(1, scheme="https", **certificates)


@pytest.mark.process
@pytest.mark.parametrize("module", ["indexer", "service"])
async def test_the_last_line_is_ours(secure: Qdrant, tmp_path: Path, module: str) -> None:
    """gRPC's own lines don't get among it."""
    environ = {
        "FACE_QDRANT_URL": "https://127.0.0.1:6333",
        "FACE_QDRANT_GRPC_PORT": str(secure.port),
        "FACE_DATA": str(tmp_path),
        "FACE_LOG_LEVEL": "ERROR",
        "PATH": "/usr/bin",
    }
    command = [sys.executable, "-m", module, *(["stats"] if module == "indexer" else [])]
    ended = await _run(command, environ)
    assert len(ended.splitlines()) == 1
    assert "Qdrant's certificate is not trusted" in ended


async def _run(command: list[str], environ: dict[str, str]) -> str:
    running = await asyncio.create_subprocess_exec(*command, env=environ, stdout=PIPE, stderr=PIPE)
    _, err = await asyncio.wait_for(running.communicate(), 60)
    return err.decode()
