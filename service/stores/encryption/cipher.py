"""What of a face is encrypted before a store gets it, and how: pictures and metadata, remarks and photos' digests.

Pictures and metadata: AES-256-GCM with a random nonce, bound to the gallery and the face_id, so that none can take
another's place. Remarks and photos' digests: AES-256-SIV (RFC 5297) without a nonce, bound to the gallery. The same
remark gives the same text in a gallery, by which its faces are found; that is what somebody without the key learns.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.errors import UnreadableFace
from service.stores.payload import encodable
from service.values import FaceChanges, StoredFace

KEY_BYTES = 32
_NONCE_BYTES = 12
_SEALED = "sealed"
"""The one member of metadata that are encrypted."""

_BYTES, _TEXT = b"\0", b"\1"
"""What a picture is encrypted as: the bytes that its base64 stands for, or what else stands there."""

_HEX = re.compile(r"[0-9a-fA-F]{64}")


def key_of(text: str) -> bytes:
    """The key that a setting holds: 32 bytes as hex or as base64, of either alphabet. Raises ValueError."""
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    padded = text.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=") + "="
    key = base64.b64decode(padded, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return key


class GalleryCipher:
    """Encrypts and decrypts with one key; it can travel to a process as a pickle.

    What decrypts raises UnreadableFace for what was encrypted with another key, for another place, or altered since.
    """

    def __init__(self, key: bytes) -> None:
        """`key` has 32 random bytes, from which one is derived for each purpose."""
        self._key = key
        self._content = AESGCM(_derived(key, b"pictures and metadata", 32))
        self._text = AESSIV(_derived(key, b"remarks and digests", 64))
        self.key_check = _derived(key, b"key check", 16).hex()
        """Tells keys apart, and gives nothing away about them: a gallery keeps it beside its contract."""

    def __reduce__(self) -> tuple[type[GalleryCipher], tuple[bytes]]:
        return GalleryCipher, (self._key,)

    def encrypt(self, face: StoredFace) -> StoredFace:
        """The face as a store gets it. Raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return replace(
            face,
            remark=self.encrypt_remark(face.remark, gallery=face.gallery),
            sha256=self._encrypt_text(face.sha256, b"sha256", face.gallery),
            picture=self._encrypt_picture(face),
            metadata=self._encrypt_metadata(face.metadata, face.face_id, face.gallery),
        )

    def decrypt(self, face: StoredFace) -> StoredFace:
        """The face that `encrypt` was given."""
        try:
            return replace(
                face,
                remark=self._decrypt_text(face.remark, b"remark", face.gallery),
                sha256=self._decrypt_text(face.sha256, b"sha256", face.gallery),
                picture=self._decrypt_picture(face),
                metadata=self._decrypt_metadata(face),
            )
        except (InvalidTag, ValueError, TypeError, KeyError) as error:
            raise UnreadableFace(
                f"Face {face.face_id} was altered since it was encrypted; remove it, and register its photo again."
            ) from error

    def encrypt_remark(self, remark: str, *, gallery: str) -> str:
        """The text by which a remark's faces are found in a gallery. Raises what `encrypt` raises."""
        return self._encrypt_text(encodable(remark), b"remark", gallery)

    def decrypt_remark(self, text: str, *, gallery: str) -> str:
        """The remark that `encrypt_remark` was given."""
        try:
            return self._decrypt_text(text, b"remark", gallery)
        except (InvalidTag, ValueError) as error:
            raise UnreadableFace(
                f"A remark in the gallery {gallery} was altered since it was encrypted; `python -m indexer check` "
                "names its faces."
            ) from error

    def encrypt_changes(self, face_id: int, changes: FaceChanges, *, gallery: str) -> FaceChanges:
        """Likewise for what becomes of a face. Raises what `encrypt` raises."""
        return replace(
            changes,
            remark=self.encrypt_remark(changes.remark, gallery=gallery),
            metadata=self._encrypt_metadata(changes.metadata, face_id, gallery),
        )

    def _encrypt_text(self, text: str, purpose: bytes, gallery: str) -> str:
        sealed = self._text.encrypt(b"\1" + text.encode(), [purpose, gallery.encode()])  # SIV takes no empty text
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _decrypt_text(self, text: str, purpose: bytes, gallery: str) -> str:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return self._text.decrypt(sealed, [purpose, gallery.encode()])[1:].decode()

    def _encrypt_picture(self, face: StoredFace) -> str:
        sealed = self._seal(_shorter(face.picture), "picture", face.face_id, face.gallery)
        return base64.b64encode(sealed).decode()

    def _decrypt_picture(self, face: StoredFace) -> str:
        opened = self._open(base64.b64decode(face.picture, validate=True), "picture", face.face_id, face.gallery)
        return base64.b64encode(opened[1:]).decode() if opened[:1] == _BYTES else opened[1:].decode()

    def _encrypt_metadata(
        self, metadata: Mapping[str, Any] | None, face_id: int, gallery: str
    ) -> Mapping[str, Any] | None:
        if metadata is None:
            return None
        text = json.dumps(dict(metadata), ensure_ascii=False).encode("utf-8", "surrogatepass")
        sealed = self._seal(text, "metadata", face_id, gallery)
        return {_SEALED: base64.b64encode(sealed).decode()}

    def _decrypt_metadata(self, face: StoredFace) -> Mapping[str, Any] | None:
        if face.metadata is None:
            return None
        sealed = base64.b64decode(face.metadata[_SEALED], validate=True)
        opened = self._open(sealed, "metadata", face.face_id, face.gallery)
        metadata: dict[str, Any] = json.loads(opened.decode("utf-8", "surrogatepass"))
        return metadata

    def _seal(self, content: bytes, purpose: str, face_id: int, gallery: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._content.encrypt(nonce, content, _place(purpose, face_id, gallery))

    def _open(self, sealed: bytes, purpose: str, face_id: int, gallery: str) -> bytes:
        if len(sealed) < _NONCE_BYTES:
            raise binascii.Error("too short for a nonce")
        return self._content.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _place(purpose, face_id, gallery))


def _shorter(picture: str) -> bytes:
    """A picture's bytes, which are a quarter less than their base64."""
    try:
        content = base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError):
        return _TEXT + picture.encode()
    return _BYTES + content if base64.b64encode(content).decode() == picture else _TEXT + picture.encode()


def _place(purpose: str, face_id: int, gallery: str) -> bytes:
    """What a text is bound to."""
    return f"{purpose}\n{face_id}\n{gallery}".encode()


def _derived(key: bytes, purpose: bytes, size: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=b"face-service: " + purpose).derive(key)
