"""The heads of requests as devices write them, brought into the form that aiohttp's strict parser reads.

What differs in form only is mended: letters, spaces and `#` in the URL that aren't percent-encoded, lines that end in
LF alone, a Host that is missing. Nothing that says where a request ends is touched. The rest is refused, with the
reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from service.http.routes import is_rest_path
from service.http.targets import plain_path

MAX_REQUEST_LINE = 32 * 1024
"""Bytes; a remark of the greatest length takes 12 KiB in the query, and metadata as much."""
MAX_PARAMETERS = 64
"""Of a query; no request has as many, and reading thousands takes long."""
MAX_HEADER = 8190
"""Bytes of one header, name and value."""
_MAX_HEAD = MAX_REQUEST_LINE + 128 * 1024

UNREADABLE = "The request can't be read as HTTP/1.1; check its request line, its headers and their lengths."
TOO_LONG = (
    f"The URL or a header is too long: a request line may have {MAX_REQUEST_LINE} bytes, a header {MAX_HEADER}, "
    "and there may be 128 headers; send the remark as a form field."
)
_TLS = "This port speaks HTTP and not TLS; use http://, or the port of the proxy that has the certificate."
_NO_VERSION = "The request line names no version of HTTP; write `METHOD /path HTTP/1.1`, with spaces as %20."
_NO_TUNNEL = "This is no proxy; use one of the paths in the API's document."
_TOO_MANY = f"The query has over {MAX_PARAMETERS} parameters; send those that are needed."
_CUT_SHORT = "The request ended within its headers; end them with an empty line."

_END = re.compile(rb"\n\r?\n")
_FIRST = re.compile(rb"[A-Za-z]{1,32}([ \t]|\Z)")
"""What begins a request that can still become one."""
_PLAIN_LINE = re.compile(rb"[A-Z]+ [!\"$-~]+ HTTP/1\.[01]\r\n")
_VERSION = re.compile(rb"HTTP/1\.[01]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_HOST = re.compile(rb"\nhost[ \t]*:", re.IGNORECASE)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_PRINTABLE = bytes(range(0x21, 0x7F)).replace(b"#", b"")
"""What stays as it is in a target. Who sends a `#` means it, for browsers keep theirs to themselves."""
_ORIGIN_HEADER = re.compile(rb"\norigin:[ \t]*([!-~]+)[ \t]*\r?\n", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[^/?#]*")


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and headers, with the empty line behind them.

    `path` is the URL's, for choosing how a refusal is written; `refusal` the sentence with which it must be refused,
    empty where it may be parsed; `origin` that of a browser's page which sent it.
    """

    content: bytes
    path: str
    refusal: str = ""
    origin: str | None = None


class HeadReader:
    """Gathers the bytes of one head after another, each bounded; what stands between requests is never kept."""

    def __init__(self) -> None:
        self._held = bytearray()

    def __bool__(self) -> bool:
        """Whether a head has begun and not ended."""
        return bool(self._held)

    def take(self, received: bytes) -> tuple[Head | None, bytes]:
        """The head that these bytes complete, None where more must come, and what stands behind it."""
        seen = max(0, len(self._held) - 2)
        self._held += received
        if not seen:
            self._held = self._held.lstrip(b"\r\n")  # empty lines before a request, as some clients send behind a body
        if not self._held:
            return None, b""
        if refusal := self._refusal_so_far():
            return self._end(len(self._held), refusal)
        end = _END.search(self._held, seen)
        if end is None:
            return self._end(len(self._held), TOO_LONG) if len(self._held) > _MAX_HEAD else (None, b"")
        return self._end(end.end(), "")

    def cut_short(self) -> Head:
        """What is to be said where nothing follows any more."""
        head, _ = self._end(len(self._held), _CUT_SHORT)
        return head

    def _refusal_so_far(self) -> str:
        """Found out before the head has ended, which it may never do."""
        if not _FIRST.match(self._held):
            return _TLS if self._held.startswith(b"\x16\x03") else UNREADABLE
        line_end = self._held.find(b"\n", 0, MAX_REQUEST_LINE + 1)
        if line_end == -1:
            return TOO_LONG if len(self._held) > MAX_REQUEST_LINE else ""
        if self._held.count(b"&", 0, line_end) >= MAX_PARAMETERS:
            return _TOO_MANY
        method, _, version = _request_line(bytes(self._held[:line_end]))
        if not _VERSION.fullmatch(version):
            return UNREADABLE if version.startswith(b"HTTP/") else _NO_VERSION
        return _NO_TUNNEL if method == b"CONNECT" else ""

    def _end(self, length: int, refusal: str) -> tuple[Head, bytes]:
        head, rest = bytes(self._held[:length]), bytes(self._held[length:])
        self._held.clear()
        path = _path(_request_line(head[: MAX_REQUEST_LINE + 1].partition(b"\n")[0])[1])
        origin = _ORIGIN_HEADER.search(head)
        told = None if origin is None else origin[1].decode()
        return Head(b"" if refusal else _mended(head, path), path, refusal, told), rest


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target with all spaces that it may have inside, and version, which is empty where it names none."""
    method, _, rest = line.strip(b" \t\r").partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if not version.startswith(b"HTTP/"):
        target, version = rest, b""
    return method, target.strip(b" \t"), version


def _path(target: bytes) -> str:
    return plain_path(_ORIGIN.sub("", target.decode("latin-1"), count=1).partition("?")[0])


def _mended(head: bytes, path: str) -> bytes:
    line, _, headers = head.partition(b"\n")
    if not _PLAIN_LINE.match(head) and not _CONTROL.search(line.rstrip(b"\r")):
        method, target, version = _request_line(line)
        head = b"%b %b %b\r\n" % (method, quote(target, safe=_PRINTABLE).encode(), version) + headers
    if not _HOST.search(head) and not is_rest_path(path):
        line, _, headers = head.partition(b"\n")
        head = line + b"\nHost:\r\n" + headers
    return _BARE_LF.sub(b"\r\n", head)
