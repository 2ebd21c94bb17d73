"""Keys as an operator hands them out, and files of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

CONSOLE, READER, VISITORS, LOST, NOBODYS = (f"fsk_{each * 43}" for each in "cRv_0")
"""Each opens what the entry below says; NOBODYS is in no file."""


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


EVERYTHING = '["register", "recognise", "list", "delete", "change", "galleries", "export", "import", "events"]'
KEYS = f"""
[console]
sha256 = "{digest(CONSOLE)}"
operations = {EVERYTHING}
note = "the operators' own"
created_at = 2026-11-26T10:00:00Z

[reader]
sha256 = "{digest(READER)}"
enabled = true
operations = ["list"]

[visitors]
sha256 = "{digest(VISITORS)}"
operations = {EVERYTHING}
galleries = ["visitors"]

[lost]
sha256 = "{digest(LOST)}"
operations = {EVERYTHING}
enabled = false
"""


def keys_file(path: Path, text: str = KEYS, mode: int = 0o600) -> Path:
    """A file of keys at `path`, with these rights."""
    path.touch(mode)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def bearing(key: str) -> dict[str, str]:
    """The header by which a key is presented."""
    return {"Authorization": f"Bearer {key}"}
