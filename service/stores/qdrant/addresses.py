"""From settings to the nodes of a Qdrant server or cluster: addresses, names that stand for several, certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from qdrant_client import AsyncQdrantClient

from service.errors import InvalidSettings
from service.stores.qdrant.nodes import Connect, Node

CLIENT_TIMEOUT_S = 70
"""QdrantLink's limits come first."""

CHANNEL = {
    # gRPC's own limits are too patient: 20 s for a server that accepts and stays silent, then pauses of up to 120 s.
    "grpc.min_reconnect_backoff_ms": 2000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    # While a request waits, is there anybody at all? Without, a machine that lost its power is noticed after minutes.
    "grpc.keepalive_time_ms": 2000,
    "grpc.http2.ping_timeout_ms": 2500,
    "grpc.http2.max_pings_without_data": 0,
    # Otherwise channels to the same address share one connection, and its back-off, even from one client to the next.
    "grpc.use_local_subchannel_pool": 1,
    # Else Qdrant compresses every answer: pictures that don't get smaller, for three of a search's four milliseconds.
    "grpc.compression_enabled_algorithms_bitset": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files: the authority that signed Qdrant's certificate, and what the service shows of itself."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def read(self) -> dict[str, bytes]:
        """What the client's channel is told. Raises InvalidSettings for files that can't be used."""
        if (self.cert is None) != (self.key is None):
            raise InvalidSettings("FACE_QDRANT_CERT and FACE_QDRANT_CERT_KEY go together; set both, or neither.")
        options = {}
        if self.ca is not None:
            options["root_certificates"] = _pem(self.ca, "FACE_QDRANT_CA", "CERTIFICATE")
        if self.cert is not None and self.key is not None:
            options["certificate_chain"] = _pem(self.cert, "FACE_QDRANT_CERT", "CERTIFICATE")
            options["private_key"] = _pem(self.key, "FACE_QDRANT_CERT_KEY", "PRIVATE KEY")
        self._try()
        return options

    def _try(self) -> None:
        """gRPC would only say that it can't connect."""
        context = ssl.create_default_context()
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            reason = str(getattr(error, "reason", None) or "not PEM, or with a passphrase").lower().replace("_", " ")
            raise InvalidSettings(
                f"FACE_QDRANT_CA, FACE_QDRANT_CERT or FACE_QDRANT_CERT_KEY can't be used ({reason}); set a "
                "certificate and its own key, whole and without a passphrase."
            ) from None


def connector(*, url: str, grpc_port: int, api_key: str | None, certificates: Certificates = Certificates()) -> Connect:
    """Finds the nodes that `url` names: one address, several with commas between, or a name that stands for several.

    Raises InvalidSettings for certificates that can't be used.
    """
    addresses = [urlsplit(each.strip()) for each in url.split(",")]
    options = {**CHANNEL, **certificates.read()}

    async def find() -> Sequence[Node]:
        found: dict[str, Node] = {}
        for address in addresses:
            for host in await _hosts(address.hostname or "", grpc_port):
                node = _node(address, host, grpc_port=grpc_port, api_key=api_key, options=options)
                found.setdefault(node.address, node)
        return list(found.values())

    return find


def _node(address: SplitResult, host: str, *, grpc_port: int, api_key: str | None, options: dict[str, Any]) -> Node:
    url = f"{address.scheme}://{f'[{host}]' if ':' in host else host}:{address.port or 6333}"
    if host != address.hostname:  # certificates are for the name, and proxies go by it
        named = {"grpc.ssl_target_name_override": address.hostname, "grpc.default_authority": address.hostname}
        options = {**options, **named}

    def connect() -> AsyncQdrantClient:
        with warnings.catch_warnings():
            # A key over plain http is what a network of containers has; docs/scaling.md says when to use https.
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
            return AsyncQdrantClient(
                url=url,
                port=address.port or 6333,
                grpc_port=grpc_port,
                prefer_grpc=True,
                api_key=api_key,
                timeout=CLIENT_TIMEOUT_S,
                grpc_options=dict(options),
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # for REST, which is never asked: trusts nobody
                check_compatibility=False,  # QdrantStore asks for the version itself, over the same connection
            )

    return Node(url, connect)


async def _hosts(name: str, port: int) -> list[str]:
    """The addresses of a name that stands for several, else the name itself, which gRPC looks up as often as needed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # gRPC's own look-up then says what is wrong with the name
        return [name]
    # Of a host with IPv4 and IPv6 addresses only one kind, so that a node isn't met twice.
    hosts = list(dict.fromkeys(str(each[4][0]) for each in found if each[0] == found[0][0]))
    return hosts if len(hosts) > 1 else [name]


def _pem(path: Path, variable: str, mark: str) -> bytes:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(
            f"{variable}={path} can't be read ({error.strerror}); the service must be able to."
        ) from None
    if f"{mark}-----".encode() not in text:
        raise InvalidSettings(f"{variable}={path} has no {mark.lower()} in PEM; name the file that has it.")
    return text
