"""The settings of where the service listens, of who is believed there, and of how much may come in at once."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from service.variables import Networks, Origins

CHECKED = ConfigDict(
    strict=True, extra="forbid", allow_inf_nan=False, regex_engine="python-re", hide_input_in_errors=True
)
"""How settings are checked, wherever they are made."""


@dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)
class AddressSettings:
    """A part of Settings, which is what is made and passed on."""

    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - devices on the network must reach it
    port: int = Field(default=5055, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses and networks of the proxies whose X-Forwarded-For tells the client's address, "
        "such as `127.0.0.1, 10.0.0.0/8`; empty believes none.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="The certificate in PEM, with those that lead to its root; with it the service speaks https only.",
    )
    tls_key: Path | None = Field(default=None, description="Its private key in PEM, without a passphrase.")
    cors_origins: Origins = Field(
        default=(),
        description="Origins whose pages may ask from a browser, such as `https://desk.example, http://10.0.0.7:8080`; "
        "`*` is all; empty is none.",
    )
    receive_s: int = Field(
        default=120,
        ge=1,
        le=3600,
        description="Longest that a request may take to arrive, and a connection may stay idle, in seconds.",
    )
    send_s: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="Longest that a client may take next to nothing of its answer (less than 64 KiB), in seconds.",
    )
    max_connections: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Connections at once, as far as the process may have that many open files; idle ones make room.",
    )
    max_address_connections: int = Field(
        default=512,
        ge=1,
        le=1_000_000,
        description="Connections at once from one address, trusted proxies excepted.",
    )
    max_uploads_bytes: int = Field(
        default=512 * 2**20,
        ge=1,
        description="Bytes of photos in memory that came over the network, of all requests together; one sender may "
        "have no more than is left.",
    )
    max_queue: int = Field(
        default=128, ge=1, description="Photos that may wait, and faces, before requests are refused."
    )
