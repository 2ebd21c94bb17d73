"""The reader of forms on a stream of bytes: what it passes over, what it refuses, and what it costs."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import StreamReader

from service.errors import InvalidRequest
from service.http.multipart import MAX_PART_HEAD, MAX_PREAMBLE, FormReader

PHOTO = b"\xff\xd8 photo \r\n--X \r\n--XYZ\r\n \n--XX \xff\xd9"
"""With lines that nearly are the boundary XX, and one that is it where lines end in LF alone."""


def stream(*pieces: bytes) -> StreamReader:
    """A body that has come in those pieces."""
    flow = SimpleNamespace(_reading_paused=False, pause_reading=lambda: None, resume_reading=lambda **_: None)
    content = StreamReader(cast("Any", flow), 2**16, loop=asyncio.get_running_loop())
    for piece in pieces:
        content.feed_data(piece)
    content.feed_eof()
    return content


async def read(*pieces: bytes, boundary: bytes = b"XX") -> list[tuple[str | None, bytes]]:
    """Name and content of each part."""
    form, parts = FormReader(stream(*pieces), boundary), []
    while (head := await form.next()) is not None:
        content = b""
        while chunk := await form.chunk():
            content += chunk
        parts.append((head.name, content))
    return parts


def lines(*parts: tuple[str, bytes], end: bytes = b"\r\n", last: bytes = b"--XX--") -> bytes:
    """A form whose lines end so."""
    body = b""
    for name, content in parts:
        head = f'Content-Disposition: form-data; name="{name}"'.encode()
        body += b"--XX" + end + head + end + end + content + end
    return body + last


PARTS = [("note", b""), ("image", PHOTO), ("remark", "張三\n".encode())]


@pytest.mark.parametrize("last", [b"--XX--", b"--XX--\r\n", b"--XX-- an epilogue", b"--XX--\r\n--XX\r\n\r\n\r\nx"])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"a preamble\r\n", b"--X\r\n--XXX\r\n"])
async def test_parts_come_as_they_were_sent(before: bytes, last: bytes) -> None:
    """Whatever stands before the first boundary and behind the last."""
    assert await read(before + lines(*PARTS, last=last)) == PARTS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_pieces_of_any_size(size: int) -> None:
    """Cut within boundaries, heads and line ends."""
    body = lines(*PARTS)
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    assert await read(*pieces) == PARTS


@pytest.mark.parametrize("padding", [b"", b" ", b"\t \t"])
async def test_padding_behind_a_boundary(padding: bytes) -> None:
    assert await read(lines(*PARTS).replace(b"--XX\r\n", b"--XX" + padding + b"\r\n")) == PARTS


async def test_lines_that_end_in_lf_alone() -> None:
    """As the first boundary's line ends, so do all; in a form that ends them in CRLF a lone LF is content."""
    parts = [("image", b"\xff\xd8 \r\n--XX\r\n"[:6]), ("remark", b"test")]
    assert await read(lines(*parts, end=b"\n")) == parts


@pytest.mark.parametrize("missing", range(9))
async def test_the_last_boundary_may_be_cut_or_missing(missing: int) -> None:
    """Of what there is of it nothing gets into the last part."""
    whole = lines(*PARTS, last=b"--XX--\r\n")
    assert await read(whole[: len(whole) - missing]) == PARTS


@pytest.mark.parametrize(
    "body", [b"--XX--", b"--XX\r\n", b"--XX\r\nContent-Disposition: form-data; name=x", b"--XX--x"]
)
async def test_forms_without_parts(body: bytes) -> None:
    assert await read(body) == []


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "never comes"),
        (b"--secret\r\n\r\n", "never comes"),
        (b"x--XX\r\n\r\n", "never comes"),
        (b"--XX", "never comes"),
        (b"\r\n" * MAX_PREAMBLE, "first"),
        (b"--XX\r\nX: " + b"x" * (MAX_PART_HEAD + 1) + b"\r\n\r\nx", "head of a part"),
    ],
    ids=range(6),
)
async def test_what_is_no_form(body: bytes, cause: str) -> None:
    """The sentence has the cause and nothing of what was sent."""
    with pytest.raises(InvalidRequest, match=cause) as refused:
        await read(body)
    assert "secret" not in str(refused.value)
    assert "XX" not in str(refused.value)


HOSTILE = {
    "newlines": b"\r\n",
    "returns": b"\r",
    "beginnings of a boundary": b"\r\n--X",
    "nearly boundaries": b"\r\n--XX-",
    "padding": b"\r\n--XX" + b" " * 60,
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
async def test_ten_hostile_megabytes(unit: bytes) -> None:
    """Each takes no longer than it takes to send them."""
    body = b'--XX\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + unit * (10 * 2**20 // len(unit))
    form = FormReader(stream(*(body[at : at + 2**16] for at in range(0, len(body), 2**16))), b"XX")
    began = time.process_time()
    assert await form.next() is not None
    while await form.chunk():
        pass
    assert time.process_time() - began < 3
