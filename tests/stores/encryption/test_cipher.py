"""What the cipher hides, what it binds together, and what it notices."""

from __future__ import annotations

import base64
import os
import pickle
from dataclasses import replace

import pytest

from service.errors import UnreadableFace
from service.stores.encryption.cipher import GalleryCipher, key_of
from service.values import FaceChanges
from tests.support.stored_faces import face

KEY = bytes(range(32))
CIPHER = GalleryCipher(KEY)
PICTURE = base64.b64encode(b"\xff\xd8\xff a picture").decode()
FACE = face(1, picture=PICTURE, metadata={"staff": "A-17", "łódź": [1, None]})


@pytest.mark.parametrize("text", [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode(), "-_" * 21 + "8="])
def test_a_key_is_hex_or_base64(text: str) -> None:
    """Of 32 bytes, base64 in either alphabet."""
    assert len(key_of(text)) == len(KEY)
    assert key_of(KEY.hex()) == KEY


@pytest.mark.parametrize("text", ["", "00", "z" * 64, base64.b64encode(KEY[:31]).decode(), "\ud800" * 44])
def test_other_texts_are_no_keys(text: str) -> None:
    """Whatever they are."""
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        key_of(text)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"remark": ""},
        {"remark": "王小明" * 80, "metadata": None},
        {"picture": "no base64"},
        {"picture": ""},
        {"metadata": {}},
        {"metadata": {"half": "\ud800"}},
    ],
)
def test_what_was_encrypted_comes_back(changes: dict[str, object]) -> None:
    """Also what is empty, no base64 or no Unicode, and by another cipher of the same key."""
    known = replace(FACE, **changes)  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(CIPHER)).decrypt(CIPHER.encrypt(known)) == known


def test_nothing_of_it_is_in_clear() -> None:
    """Remark, picture, metadata, and the digest of the photo, by which a guessed remark could be tested."""
    told = repr(CIPHER.encrypt(FACE))
    assert not any(each in told for each in (FACE.remark, PICTURE[:12], "A-17", "staff", FACE.sha256))


def test_half_a_character_is_refused() -> None:
    """As stores in clear do."""
    with pytest.raises(ValueError, match="surrogate"):
        CIPHER.encrypt_remark("\ud800", gallery="default")


def test_equal_remarks_are_equal_in_a_gallery_only() -> None:
    """So that they can be found; pictures never are."""
    first, second = CIPHER.encrypt(FACE), CIPHER.encrypt(FACE)
    assert first.remark == second.remark == CIPHER.encrypt_remark(FACE.remark, gallery="default")
    assert first.picture != second.picture
    assert CIPHER.encrypt_remark(FACE.remark, gallery="staff") != first.remark
    assert GalleryCipher(os.urandom(32)).encrypt_remark(FACE.remark, gallery="default") != first.remark


@pytest.mark.parametrize("field", ["picture", "metadata"])
def test_what_belongs_to_another_face_is_noticed(field: str) -> None:
    """A picture or metadata that changed places."""
    other = CIPHER.encrypt(replace(FACE, face_id=2, picture=PICTURE[::-1]))
    swapped = replace(CIPHER.encrypt(FACE), **{field: getattr(other, field)})
    with pytest.raises(UnreadableFace, match="Face 1 "):
        CIPHER.decrypt(swapped)


@pytest.mark.parametrize(
    "changes",
    [
        {"remark": FACE.remark},
        {"remark": "AAAA"},
        {"remark": "é"},
        {"sha256": FACE.sha256},
        {"picture": PICTURE},
        {"picture": ""},
        {"picture": "?"},
        {"metadata": {"staff": "A-17"}},
        {"metadata": {"sealed": 7}},
        {"metadata": {"sealed": "AAAA"}},
        {"gallery": "other"},
    ],
)
def test_what_was_altered_is_noticed(changes: dict[str, object]) -> None:
    """Also what stands there in clear, or is of another type."""
    with pytest.raises(UnreadableFace):
        CIPHER.decrypt(replace(CIPHER.encrypt(FACE), **changes))  # type: ignore[arg-type]


def test_another_key_reads_nothing() -> None:
    """And is told from the right one without a face."""
    other = GalleryCipher(os.urandom(32))
    assert other.key_check != CIPHER.key_check
    with pytest.raises(UnreadableFace):
        other.decrypt(CIPHER.encrypt(FACE))


def test_changes_fit_the_face() -> None:
    """They are what the face would have been encrypted with."""
    changes = CIPHER.encrypt_changes(
        1, FaceChanges(remark="new", metadata={"a": 1}, expires_at=None), gallery="default"
    )
    changed = CIPHER.decrypt(replace(CIPHER.encrypt(FACE), remark=changes.remark, metadata=changes.metadata))
    assert (changed.remark, changed.metadata) == ("new", {"a": 1})
