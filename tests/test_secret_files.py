"""Secrets in files: read in the place of a variable, or refused in a sentence that shows nothing of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import InvalidSettings
from service.settings import Settings

NAMES = {"FACE_QDRANT_API_KEY": ("qdrant_api_key", "hush"), "FACE_NONCES_URL": ("nonces_url", "redis://:hush@h")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_its_file(tmp_path: Path, name: str, end: str) -> None:
    """Whether an editor has ended its line or not."""
    field, secret = NAMES[name]
    file = tmp_path / "secret"
    file.write_bytes(f"{secret}{end}".encode())
    assert getattr(Settings.from_env({f"{name}_FILE": str(file)}), field) == secret
    assert getattr(Settings.from_env({f"{name}_FILE": str(file), name: ""}), field) == secret


def test_a_file_that_is_not_named_is_none() -> None:
    assert Settings.from_env({"FACE_QDRANT_API_KEY_FILE": "", "FACE_QDRANT_API_KEY": "k"}).qdrant_api_key == "k"


def test_two_secrets_are_a_mistake(tmp_path: Path) -> None:
    """Nobody could say which of the two holds."""
    (tmp_path / "key").write_text("hush")
    environ = {"FACE_QDRANT_API_KEY_FILE": str(tmp_path / "key"), "FACE_QDRANT_API_KEY": "other"}
    with pytest.raises(InvalidSettings, match="are both set; unset one of them") as refusal:
        Settings.from_env(environ)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "can't be read (No such file or directory)"),
        (b"", "is empty or far too long"),
        (b"\n", "is empty or far too long"),
        (b"hush" * 20_000, "is empty or far too long"),
        (b"\xffhush", "holds no text"),
        (b"hush\nhush\n", "FACE_QDRANT_API_KEY is out of range"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """In one sentence, which never quotes what stands there."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidSettings) as refusal:
        Settings.from_env({"FACE_QDRANT_API_KEY_FILE": str(file)})
    assert sentence in str(refusal.value)
    assert "hush" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_only_secrets_stand_in_files(tmp_path: Path) -> None:
    """Any other name with this end is a slip of the pen."""
    with pytest.raises(InvalidSettings, match="FACE_PORT_FILE is not a setting"):
        Settings.from_env({"FACE_PORT_FILE": str(tmp_path / "port")})
