"""What bytes are that no reader knows, in a few words, for the sentence that refuses them."""

from __future__ import annotations

import re
from typing import NamedTuple

SHOWN = 12
"""Characters of refused bytes that a sentence shows at most: enough to know a file by, too few to leak one."""

_EXAMINED = 1024
"""Bytes at the beginning that are looked at."""

_SEND_THE_BYTES = "send the photo's own bytes"
_CONVERT = "convert it to JPEG"


class FileKind(NamedTuple):
    """What a file is, after «but», and what its sender should do; whether how it begins may be shown.

    It may where that is the format's: a text may begin with a person's name that was sent in the photo's place.
    """

    name: str
    advice: str
    is_shown: bool = False


_DOCUMENT, _ARCHIVE = "send the picture in it as JPEG", "unpack it and send the photo in it"
_VIDEO = FileKind("a video", "send a single picture of it as JPEG")
_RAW = FileKind("a camera's raw photo", "export it as JPEG")
_WEB_PAGE = FileKind("a web page", "send the photo that it shows", is_shown=True)
_BASE64 = FileKind("base64", "send the bytes themselves", is_shown=True)
_HEIC = FileKind("a HEIC photo", _CONVERT)

_BY_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (rb"(\xef\xbb\xbf)?\s*(<!--.{0,200}-->\s*)?<(!doctype\s+html|html|head|body|script)\b", _WEB_PAGE),
    (rb"(\xef\xbb\xbf)?\s*<(\?xml|!doctype\s+svg|svg\b).*<svg|\s*<svg\b", FileKind("an SVG drawing", _CONVERT)),
    (rb"(\xef\xbb\xbf)?\s*<[?!a-z]", FileKind("an XML document", _SEND_THE_BYTES)),
    (rb"\s*data:[a-z]*/?", FileKind("a data: address", "send the bytes that its base64 stands for")),
    (rb"\s*(https?|ftp|file|s3)://", FileKind("an address", "send the photo's bytes, not where they are")),
    (rb"(\xef\xbb\xbf)?\s*(\{\s*[\"}]|\[\s*[\[{\"\]0-9-])", FileKind("a JSON document", _SEND_THE_BYTES)),
    (rb"\s*-----BEGIN ", FileKind("a key or certificate", "send a photo")),
    (rb"\s*--[!-~]+\r?\n.*content-disposition:", FileKind("a form inside a form", _SEND_THE_BYTES)),
    (rb"\s*(HTTP/[0-9]|(GET|POST|PUT) /)", FileKind("an HTTP message", _SEND_THE_BYTES)),
    (rb"%PDF-", FileKind("a PDF document", _DOCUMENT)),
    (rb"%!PS|\xc5\xd0\xd3\xc6", FileKind("a PostScript document", _CONVERT)),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind("an Office document", _DOCUMENT)),
    (rb"PK\x03\x04.{26}(word|xl|ppt|\[Content_Types\]\.xml)", FileKind("an Office document", _DOCUMENT)),
    (rb"PK[\x03\x05][\x04\x06]", FileKind("a ZIP archive", _ARCHIVE)),
    (rb"Rar!\x1a\x07|7z\xbc\xaf\x27\x1c", FileKind("an archive", _ARCHIVE)),
    (rb"\x1f\x8b|BZh[1-9]|\xfd7zXZ|\x28\xb5\x2f\xfd", FileKind("a compressed file", _ARCHIVE)),
    (rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", _HEIC),
    (rb"....ftypavi[fs]", FileKind("an AVIF photo", _CONVERT)),
    (rb"....ftypcrx |FUJIFILMCCD-RAW|II\x1a\x00\x00\x00HEAPCCDR|\x00MRM|FOVb|IIU\x00|IIRO|IIRS", _RAW),
    (rb"....(ftyp|moov|mdat|wide|free)", _VIDEO),
    (rb"\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|\x00\x00\x01[\xba\xb3]|OggS|0&\xb2u", _VIDEO),
    (rb"RIFF....WAVE|ID3|\xff[\xfb\xf3\xf2]|fLaC", FileKind("a sound", "send a photo")),
    (rb"8BP[SB]", FileKind("a Photoshop document", _CONVERT)),
    (rb"\x00\x00\x00\x0cJXL |\xff\x0a", FileKind("a JPEG XL photo", _CONVERT)),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", FileKind("a JPEG 2000 photo", _CONVERT)),
    (rb"\x00\x00[\x01\x02]\x00[^\x00]\x00", FileKind("an icon", _CONVERT)),
    (rb"P[1-7]\s", FileKind("a Netpbm picture", _CONVERT)),
    (rb"v/1\x01|#\?RADIANCE", FileKind("an HDR picture", _CONVERT)),
    (rb"\x7fELF|MZ.{2}[\x00-\x20]|#!", FileKind("a program", "send a photo")),
    (rb"\\?x?(ffd8ff|89504e47|47494638|52494646|424d)[0-9a-f]{16}", FileKind("hex digits", _SEND_THE_BYTES)),
    (rb"(/9j/|iVBORw0KGgo|R0lGOD|UklGR|AAAA[A-Za-z0-9+/]{3}mdH|Qk[0-3])[A-Za-z0-9+/=_\s-]{20}", _BASE64),
    (rb"[A-Za-z0-9+/_-]{64}[A-Za-z0-9+/=_\r\n-]*\Z", _BASE64._replace(is_shown=False)),  # a key may look so
    (rb"(\x00{16,})\Z", FileKind("nothing but zeros", "see whether the file was copied whole")),
    (rb"\xff\xfe[^\x00]\x00|\xfe\xff\x00", FileKind("text", "send a photo")),
)
"""Patterns of what a file begins with, the first that matches counts; letters in either case."""
_PATTERNS = tuple((re.compile(magic, re.DOTALL | re.IGNORECASE), kind) for magic, kind in _BY_MAGIC)

_BEGINNINGS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "BMP": rb"BM.{4}\x00{4}",
    "GIF": rb"GIF8[79]a",
    "TIFF": rb"II\x2a\x00|MM\x00\x2a",
    "WEBP": rb"RIFF....WEBP",
    "AVIF": rb"....ftypavi[fs]",
    "HEIF": rb"....ftyp(hei[cxms]|hev[cxms])",
}
"""How the photos of a format begin, by its name with Pillow."""


def is_photo(content: bytes, formats: tuple[str, ...]) -> bool:
    """Whether bytes begin as a photo of one of these formats does, whole or not."""
    return any(re.match(_BEGINNINGS[each], content[:16], re.DOTALL) for each in formats if each in _BEGINNINGS)


def file_kind(content: bytes) -> FileKind | None:
    """What bytes are that aren't read as a photo, None where they are nothing known."""
    beginning = content[:_EXAMINED]
    for pattern, kind in _PATTERNS:
        if pattern.match(beginning):
            return kind
    return FileKind("text", _SEND_THE_BYTES) if _is_text(beginning) else None


def refusal(content: bytes, formats: tuple[str, ...]) -> str:
    """The sentence for bytes that are a photo of none of these formats; shows SHOWN characters of them at most."""
    kind = file_kind(content)
    known = ", ".join(formats)
    if kind is None:
        return f"The image is none of {known}, and begins with the bytes {content[:4].hex(' ')}; {_CONVERT}."
    shown = _shown(content) if kind.is_shown else ""
    beginning = f" (it begins with «{shown}»)" if shown else ""
    return f"The image is none of {known}, but {kind.name}{beginning}; {kind.advice}."


def _is_text(beginning: bytes) -> bool:
    text = beginning.decode("utf-8", "ignore")  # a character may be cut at the end
    lost = len(beginning) - len(text.encode())
    return lost < 4 and all(each.isprintable() or each in "\t\r\n\ufeff" for each in text)  # noqa: PLR2004


def _shown(content: bytes) -> str:
    """The printable characters that the bytes begin with; empty unless there are a few."""
    shown = ""
    for each in content[: 4 * SHOWN].decode("utf-8", "replace").removeprefix("\ufeff").lstrip():
        if not each.isprintable() or each in "«»\ufffd" or len(shown) == SHOWN:
            break
        shown += each
    return shown if len(shown) >= 2 else ""  # noqa: PLR2004 - a single one tells nothing
