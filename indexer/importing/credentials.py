"""How an import says to a running service who it is: signed as a device, or with an operator's key."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from service.devices.keys import KEY
from service.devices.signatures import Claim, signed_headers
from service.errors import InvalidSettings

Credentials = Callable[[str, str, bytes], Mapping[str, str]]
"""Method, path with query, and the request's body to the headers that say who sends it."""

NONCE_BYTES = 18


def no_credentials(_method: str, _target: str, _body: bytes) -> Mapping[str, str]:
    """For a service that asks nobody who they are."""
    return {}


def signing(device_id: str, secret_file: Path) -> Credentials:
    """Signs as a device, with the secret in a file of its own. Raises InvalidSettings where that can't be read."""
    secret = _line_of(secret_file, "--secret-file", "the secret")

    def sign(method: str, target: str, body: bytes) -> Mapping[str, str]:
        claim = Claim(
            device_id=device_id,
            timestamp=str(int(time.time())),
            nonce=secrets.token_urlsafe(NONCE_BYTES),
            content_sha256=hashlib.sha256(body).hexdigest(),
        )
        return signed_headers(secret=secret, method=method, target=target, claim=claim)

    return sign


def bearing(key_file: Path) -> Credentials:
    """Brings the key in a file of its own. Raises InvalidSettings where there is none."""
    key = _line_of(key_file, "--key-file", "the key")
    if not KEY.fullmatch(key):
        raise InvalidSettings(f"--key-file {key_file} holds no key; name the file that `keys add --secret-out` wrote.")
    headers = {"Authorization": f"Bearer {key}"}
    return lambda _method, _target, _body: headers


def _line_of(path: Path, option: str, what: str) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"{option} {path} can't be read ({error}); name the file of {what}.") from None
