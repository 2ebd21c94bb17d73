"""The service's certificate: read at the start, and again when the operator has renewed it."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import NoReturn

from service.errors import InvalidSettings

log = logging.getLogger(__name__)


class Certificate:
    """A certificate and its key; `context` is what connections are made with."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises InvalidSettings, with one sentence on what to do, where the files can't be used."""
        self._cert, self._key = cert, key
        self.context = _load(cert, key)

    def reload(self) -> None:
        """Use the files as they are now for new connections; where they can't be used, the log says why."""
        try:
            _load(self._cert, self._key)  # into a context of its own: a failure would leave half in the one in use
            self.context.load_cert_chain(self._cert, self._key, password=_refuse_passphrase)
        except (InvalidSettings, OSError) as error:
            log.error("%s Until then the certificate read before stays.", error)
        else:
            log.info("The certificate in %s was read again.", self._cert)


def open_certificate(cert: Path | None, key: Path | None) -> Certificate | None:
    """The certificate of FACE_TLS_CERT and FACE_TLS_KEY, None where neither is set. Raises InvalidSettings."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise InvalidSettings("FACE_TLS_CERT and FACE_TLS_KEY go together; set both, or neither.")
    return Certificate(cert, key)


def _load(cert: Path, key: Path) -> ssl.SSLContext:
    _require(cert, "FACE_TLS_CERT", b"CERTIFICATE-----", "certificate")
    _require(key, "FACE_TLS_KEY", b"PRIVATE KEY-----", "private key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)  # TLS 1.2 or newer
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=_refuse_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InvalidSettings(
                "FACE_TLS_KEY is not the key of FACE_TLS_CERT; set the two that belong together."
            ) from None
        reason = (error.reason or "not PEM").lower().replace("_", " ")
        raise InvalidSettings(
            f"FACE_TLS_CERT and FACE_TLS_KEY can't be used ({reason}); check that they are whole."
        ) from None
    return context


def _require(path: Path, variable: str, mark: bytes, what: str) -> None:
    """Raise InvalidSettings where the file can't be read, or doesn't look like PEM of that sort."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(
            f"{variable}={path} can't be read ({error.strerror}); the service must be able to."
        ) from None
    if mark not in content:
        raise InvalidSettings(f"{variable}={path} has no {what} in PEM; name the file that has it.")


def _refuse_passphrase() -> NoReturn:
    raise InvalidSettings(
        "FACE_TLS_KEY has a passphrase; give the service a key without one, in a file that is its own."
    )
