"""What a part of a form stands for: the photo that its base64 holds, the text in the charset that it came in."""

from __future__ import annotations

import base64
import binascii
import re

from service.errors import InvalidRequest

_DATA_URI = re.compile(rb"\s*data:[a-zA-Z0-9.+/=; -]{0,100},", re.DOTALL)
_BASE64_BEGUN = re.compile(rb"\s*(?:data:[^,]{0,100};base64,|[A-Za-z0-9+/_\-\r\n]{64})")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_SPACE = b" \t\r\n"
_STANDARD = bytes.maketrans(b"-_", b"+/")

_CODECS = {
    **dict.fromkeys(("gbk", "cp936", "windows936", "gb2312", "gb18030"), "gb18030"),
    **dict.fromkeys(("ascii", "usascii"), "ascii"),
    **dict.fromkeys(("shiftjis", "sjis", "windows31j", "windows932", "cp932"), "cp932"),
    **{f"windows{number}": f"cp{number}" for number in (874, 949, 950, *range(1250, 1259))},
    **{f"iso8859{number}": f"iso8859-{number}" for number in (*range(1, 12), *range(13, 17))},
    **{name.replace("-", ""): name for name in ("utf-8", "utf-16", "big5", "euc-jp", "euc-kr", "koi8-r", "koi8-u")},
    "latin1": "iso8859-1",
    "big5hkscs": "big5hkscs",
    "tis620": "tis-620",
}
"""Python's codec for each charset, which are written with and without hyphens; it has others that are no charsets."""


def may_be_base64(begin: bytes) -> bool:
    """Whether a photo's first bytes are text that may stand for it; no picture's own bytes are."""
    return _BASE64_BEGUN.match(begin) is not None


def encoded_limit(max_bytes: int) -> int:
    """How many bytes of base64, with its line breaks, a content of so many bytes may have."""
    return max_bytes // 3 * 4 + max_bytes // 16 + 1024


def photo_of(content: bytes, *, is_base64: bool) -> bytes:
    """The photo's bytes: decoded where the head says base64, or where all of it is; without empty lines before it."""
    if is_base64 or may_be_base64(content[:256]):
        decoded = _decoded(content)
        if decoded is not None:
            return decoded
    return content.lstrip(b"\r\n")


def text_of(content: bytes, charset: str | None, fallback: str, *, name: str = "remark") -> str:
    """The text, in the charset that it is said to be in, else in UTF-8, else in the fallback.

    Raises InvalidRequest, which names the part, where it is in none of these.
    """
    for codec in (_codec(charset or ""), "utf-8", _codec(fallback)):
        if codec is not None:
            try:
                return content.decode(codec)
            except UnicodeDecodeError:
                continue
    raise InvalidRequest(
        f"The {name} is not UTF-8; send it as UTF-8, or name its charset in the part's head "
        "(`Content-Type: text/plain; charset=…`)."
    )


def _codec(charset: str) -> str | None:
    return _CODECS.get(charset.strip().lower().replace("-", "").replace("_", ""))


def _decoded(content: bytes) -> bytes | None:
    """What base64 stands for, of either alphabet, wrapped or not; None where it isn't base64."""
    if uri := _DATA_URI.match(content[:256]):
        content = content[uri.end() :]
    digits = content.translate(_STANDARD, _SPACE).rstrip(b"=")
    if digits.translate(None, _ALPHABET):
        return None
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4))
    except binascii.Error:
        return None
