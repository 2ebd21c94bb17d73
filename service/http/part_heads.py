"""The head of a form's part as devices write it: its name, its charset, and whether its content is base64."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FOLD = re.compile(r"\r?\n[ \t]+")
_PARAMETER = re.compile(r""";\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|'([^';]*)'|([^;]*))""", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_TOLD = frozenset(
    {"image", "image1", "images", "img", "file", "files", "photo", "picture", "pic", "face", "data", "remark"}
)
"""Names that a refusal repeats; another may be a person's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHead:
    """`name` and `charset` are None where the head has none; file names are not kept, for nothing here is for them."""

    name: str | None
    charset: str | None = None
    is_base64: bool = False
    is_multipart: bool = False

    @property
    def described(self) -> str:
        """The part in a sentence, which must hold nothing that a person wrote."""
        if self.name is None:
            return "one whose head has no name="
        return f"`{self.name}`" if self.name.lower() in _TOLD else "one of another name"


def read_head(head: bytes) -> PartHead:
    """What the lines of a head say: folded or not, values in quotes of both kinds or bare; the rest is passed over."""
    headers: dict[str, str] = {}
    for line in _FOLD.sub(" ", head.decode("utf-8", "replace")).splitlines():
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    content_type = headers.get("content-type", "")
    return PartHead(
        name=_parameters(headers.get("content-disposition", "")).get("name"),
        charset=_parameters(content_type).get("charset"),
        is_base64=headers.get("content-transfer-encoding", "").strip("\"' ").lower() == "base64",
        is_multipart=content_type.lower().startswith("multipart/"),
    )


def boundary_of(content_type: str) -> str | None:
    """The boundary that a header Content-Type names, None where it names none."""
    return _parameters(content_type).get("boundary") or None


def _parameters(value: str) -> dict[str, str]:
    """A header's parameters by their names in lower case; of those that come twice the first."""
    found: dict[str, str] = {}
    for name, quoted, in_apostrophes, bare in _PARAMETER.findall(value):
        text = _ESCAPED.sub(r"\1", quoted) if quoted else in_apostrophes or bare.strip()
        found.setdefault(name.lower(), text)
    return found
