"""Device signatures: what the headers of a request claim, the string that is signed, and whether the signature holds.

The scheme is described in docs/device-authentication.md. Nothing here reads a clock, a socket or a file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from service.errors import BadSignature

WINDOW_S = 300
"""How far a device's clock may be off, in seconds."""
EMPTY_SHA256 = hashlib.sha256().hexdigest()
"""The content digest of a request without an image."""

MAX_QUERY = 16 * 1024
"""Bytes of a query that is signed; a remark of the greatest length takes 12 KiB."""
MAX_PARAMETERS = 32

DEVICE_ID = "X-Device-Id"
TIMESTAMP = "X-Timestamp"
NONCE = "X-Nonce"
CONTENT_SHA256 = "X-Content-SHA256"
SIGNATURE = "X-Signature"

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ENCODED = {byte: quote(bytes([byte]), safe="") for byte in range(256)}

_FORMATS = {
    TIMESTAMP: (r"[0-9]{1,12}", "Unix time in whole seconds"),
    NONCE: (r"[A-Za-z0-9_-]{16,64}", "16 to 64 of the characters A-Z, a-z, 0-9, _ and -"),
    CONTENT_SHA256: (r"[0-9A-Fa-f]{64}", "the image's SHA-256 as 64 hex digits"),
    SIGNATURE: (r"[0-9a-f]{64}", "the HMAC-SHA256 as 64 lower-case hex digits"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asks, when, by which nonce, and with which image: the signed headers, each as its text."""

    device_id: str
    timestamp: str
    nonce: str
    content_sha256: str


def canonical_query(raw: str) -> str:
    """A query (what stands behind the `?`) in the one form that is signed.

    Names and values are decoded (`+` is a space), percent-encoded anew by RFC 3986, and sorted by encoded name, then
    encoded value. Raises BadSignature where a name comes twice: which one counts depends on their order, and that isn't
    signed; and where the query is too large, for whoever has no secret could keep the service busy with it.
    """
    if len(raw) > MAX_QUERY or raw.count("&") >= MAX_PARAMETERS:
        raise BadSignature(
            f"The query has over {MAX_QUERY} bytes or {MAX_PARAMETERS} parameters; send those that are needed."
        )
    pieces = raw.encode("utf-8", "surrogateescape").replace(b"+", b" ").split(b"&")
    pairs = sorted(tuple(map(_percent_encoded, piece.partition(b"=")[::2])) for piece in pieces if piece)
    if len({name for name, _ in pairs}) < len(pairs):
        raise BadSignature("The query names a parameter twice; send each one once.")
    return "&".join(f"{name}={value}" for name, value in pairs)


def canonical(*, method: str, target: str, claim: Claim) -> bytes:
    """The string that is signed; `target` is the path and query as they stand in the request line.

    Raises BadSignature for a target that has other parts, or a parameter twice.
    """
    if not target.startswith("/") or "#" in target:
        raise BadSignature("The request line must name a path and a query, nothing else.")
    path, _, query = target.partition("?")
    lines = ["v1", method, path, canonical_query(query)]
    lines += [claim.device_id, claim.timestamp, claim.nonce, claim.content_sha256]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def sign(*, secret: str, method: str, target: str, claim: Claim) -> str:
    """The signature of a request, as lower-case hex; the key is the secret's text, not decoded."""
    return _hmac(secret, canonical(method=method, target=target, claim=claim))


def signed_headers(*, secret: str, method: str, target: str, claim: Claim) -> dict[str, str]:
    """The five headers that a device sends with a request."""
    return {
        DEVICE_ID: claim.device_id,
        TIMESTAMP: claim.timestamp,
        NONCE: claim.nonce,
        CONTENT_SHA256: claim.content_sha256,
        SIGNATURE: sign(secret=secret, method=method, target=target, claim=claim),
    }


def read_claim(device_id: str, values_of: Callable[[str], Sequence[str]]) -> tuple[Claim, str]:
    """The claim and the signature in a request's headers; `values_of` gives all values that a header has.

    Raises BadSignature for a header that is missing, malformed or there twice.
    """
    texts = {}
    for name, (pattern, description) in _FORMATS.items():
        values = values_of(name)
        if len(values) != 1 or not re.fullmatch(pattern, values[0]):
            raise BadSignature(f"The header {name} must be there once and be {description}.")
        texts[name] = values[0]
    claim = Claim(
        device_id=device_id, timestamp=texts[TIMESTAMP], nonce=texts[NONCE], content_sha256=texts[CONTENT_SHA256]
    )
    return claim, texts[SIGNATURE]


def verify(*, secrets: Sequence[str], method: str, target: str, claim: Claim, signature: str, now: float) -> str:
    """Check the clock, then the signature against each of the device's secrets, and return the one that it is of.

    `now` is Unix time in seconds.

    Raises BadSignature. Whether the nonce is new and the image is the one of the digest isn't known here.
    """
    ahead = int(claim.timestamp) - now
    if abs(ahead) > WINDOW_S:
        offset = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
        raise BadSignature(
            f"X-Timestamp is {offset} the service's clock, which is at {int(now)} ({_utc(now)}); set the device's "
            "clock by that or by the header Date."
        )
    used = used_secret(secrets, canonical(method=method, target=target, claim=claim), signature)
    if used is None:
        raise BadSignature("The signature does not match; check the secret and what is signed.")
    return used


def used_secret(secrets: Sequence[str], message: bytes, signature: str) -> str | None:
    """Which of the secrets the signature is of, found out in the same time whatever the answer; None for none."""
    used = None
    for secret in secrets:
        if hmac.compare_digest(_hmac(secret, message), signature):
            used = secret
    return used


def _utc(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _percent_encoded(text: bytes) -> str:
    """Decoded and encoded anew, by tables: forged queries of the greatest length must not keep the service busy."""
    decoded = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), text)
    return decoded.decode("latin-1").translate(_ENCODED)


def _hmac(secret: str, message: bytes) -> str:
    return hmac.digest(secret.encode(), message, "sha256").hex()
