"""Forms as devices write them: a reader of multipart/form-data that passes over what differs in form only.

It takes each byte once, in bounded memory. Lines may end in LF alone, heads may be folded, the last boundary may be
missing or cut, as long as the body is complete. aiohttp's reader and the packages `multipart` and `python-multipart`
refuse such forms.
"""

from __future__ import annotations

import asyncio
import re

from aiohttp import StreamReader

from service.errors import InvalidRequest
from service.http.part_heads import PartHead, read_head

MAX_PREAMBLE = 64 * 1024
"""Bytes before the first boundary."""
MAX_PART_HEAD = 16 * 1024
MAX_BOUNDARY = 200
"""The format allows 70."""
_RECEIVED = 128 * 1024
"""Bytes that are taken at once: a body that is already there, as a signed one is, would be copied with each part."""

_PADDING = rb"[ \t]{0,64}"
_HEAD_END = re.compile(rb"(?:\A|\n)\r?\n")


class FormReader:
    """The parts of a form, one after another: `next` for a head, then `chunk` until the part has ended."""

    def __init__(self, content: StreamReader, boundary: bytes) -> None:
        """`content` is the body, `boundary` what the header Content-Type names, without the dashes before it."""
        self._content = content
        self._boundary = boundary
        self._held = b""
        self._in_part = self._done = self._body_ended = False
        self._delimiter = b""
        self._delimiter_line = re.compile(b"")

    async def next(self) -> PartHead | None:
        """The next part's head, None where there is none; the part before must have been read to its end.

        Raises InvalidRequest where the form can't be read, and what reading the body raises.
        """
        if not self._delimiter:
            await self._find_first()
        if self._done:
            return None
        end = _HEAD_END.search(self._held)
        while end is None:
            self._refuse_long_head(len(self._held))
            if not await self._receive():
                self._done = True
                return None
            end = _HEAD_END.search(self._held)
        head, self._held = self._held[: end.start()], self._held[end.end() :]
        self._refuse_long_head(len(head))
        self._in_part = True
        return read_head(head)

    async def chunk(self) -> bytes:
        """Some more bytes of the part, none at its end; raises what reading the body raises."""
        while self._in_part:
            content = self._content_so_far()
            if content or not self._in_part:
                return content
            if not await self._receive():
                self._in_part, self._done = False, True
                return self._without_cut_boundary()
        return b""

    async def _receive(self) -> bool:
        """Hold more of the body; whether there was more. Others have their turn, also where all of it is there."""
        await asyncio.sleep(0)
        received = await self._content.read(_RECEIVED)
        self._held += received
        return bool(received)

    async def _find_first(self) -> None:
        """Go behind the first boundary, whose line shows how this form ends its lines."""
        first = re.compile(rb"(?:\A|\n)--" + re.escape(self._boundary) + rb"(--|" + _PADDING + rb"(\r?\n))")
        searched, end = 0, MAX_PREAMBLE + len(self._boundary) + 100
        while (found := first.search(self._held, searched, end)) is None:
            searched = max(0, len(self._held) - len(self._boundary) - 100)
            if len(self._held) > MAX_PREAMBLE:
                raise InvalidRequest(
                    f"The boundary that the header Content-Type names doesn't come in the body's first {MAX_PREAMBLE} "
                    "bytes; begin the form with it."
                )
            if not await self._receive():
                raise InvalidRequest(
                    "The boundary that the header Content-Type names never comes in the body; write the same one there."
                )
        self._held = self._held[found.end() :]
        self._done = found[1] == b"--"
        self._delimiter = (found[2] or b"\r\n") + b"--" + self._boundary
        self._delimiter_line = re.compile(
            re.escape(self._delimiter)
            + rb"(?:(?P<last>--)|"
            + _PADDING
            + rb"\r?\n|(?P<begun>-|"
            + _PADDING
            + rb"\r?)\Z)"
        )

    def _refuse_long_head(self, length: int) -> None:
        if length > MAX_PART_HEAD:
            raise InvalidRequest(f"The head of a part has over {MAX_PART_HEAD} bytes; end it with an empty line.")

    def _content_so_far(self) -> bytes:
        """What is held of the part's content for certain; the part has ended where its delimiter is held."""
        start = self._held.find(self._delimiter)
        if start != -1 and (line := self._delimiter_line.search(self._held, start)) is not None:
            if line["begun"] is not None:
                return self._take(line.start(), line.start())
            self._in_part, self._done = False, line["last"] is not None
            return self._take(line.start(), line.end())
        certain = max(0, len(self._held) - len(self._delimiter))
        return self._take(certain, certain)

    def _take(self, end: int, next_start: int) -> bytes:
        content, self._held = self._held[:end], self._held[next_start:]
        return content

    def _without_cut_boundary(self) -> bytes:
        """The end of the last part where its boundary is missing, without what there is of that."""
        closing = self._delimiter + b"--"
        content, self._held = self._held, b""
        if content.startswith(self._delimiter):  # its line has begun, and nothing else is held then
            return b""
        for length in range(len(closing), 0, -1):
            if content.endswith(closing[:length]):
                return content[:-length]
        return content
