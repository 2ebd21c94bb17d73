"""Secrets that stand in files: FACE_QDRANT_API_KEY_FILE names the file whose text is FACE_QDRANT_API_KEY."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

from service.errors import InvalidSettings
from service.variables import variable

_PRIVATE = {"FACE_ENCRYPTION_KEY"}
"""Those whose files others must not be able to read, as those of devices and keys."""

MAX_SECRET = 64 * 1024
"""Bytes; a longer file is not a secret's."""


def read_secrets(environ: Mapping[str, str], fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """The variables, with the text of each secret's file in the place of the file's name; an empty name counts as none.

    Only fields that are never shown may stand in a file. A line's end after the secret isn't part of it. Raises
    InvalidSettings for a file that can't be read or is empty, for that of a key which others can read too, and where
    the variable itself is set as well.
    """
    read = dict(environ)
    for name in (variable(each) for each, field in fields.items() if not field.repr):
        path = read.pop(f"{name}_FILE", "")
        if not path:
            continue
        if read.get(name):
            raise InvalidSettings(f"{name} and {name}_FILE are both set; unset one of them.")
        read[name] = _text(f"{name}_FILE", Path(path).expanduser(), private=name in _PRIVATE)
    return read


def read_key(name: str, path: Path) -> str:
    """The key in a file that an option names, which others must not be able to read. Raises InvalidSettings."""
    return _text(name, path, private=True)


def _text(name: str, path: Path, *, private: bool) -> str:
    """The secret in a file, which nobody else may be able to read where it is `private`; it is never quoted."""
    try:
        with path.open("rb") as file:
            if private and os.fstat(file.fileno()).st_mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise InvalidSettings(
                    f"{name}={str(path)!r} holds a key that others can read or change; run `chmod 600 {path}` (or 640)."
                )
            text = file.read(MAX_SECRET + 1).decode()
    except OSError as error:
        raise InvalidSettings(
            f"{name}={str(path)!r} can't be read ({error.strerror}); name the secret's file."
        ) from None
    except ValueError:  # not UTF-8, or a path with a zero
        raise InvalidSettings(f"{name}={str(path)!r} holds no text; name the secret's file.") from None
    secret = text.rstrip("\r\n")
    if not secret or len(text) > MAX_SECRET:
        raise InvalidSettings(f"{name}={str(path)!r} is empty or far too long; write the secret into it.")
    return secret
