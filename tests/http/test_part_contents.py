"""What parts stand for: photos in base64 of all kinds, and text of all charsets."""

from __future__ import annotations

import base64
import os

import pytest

from service.errors import InvalidRequest
from service.http.part_contents import encoded_limit, may_be_base64, photo_of, text_of

PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
BASE64 = base64.b64encode(PHOTO)


@pytest.mark.parametrize(
    "content",
    [
        BASE64,
        base64.encodebytes(PHOTO),
        base64.encodebytes(PHOTO).replace(b"\n", b"\r\n"),
        base64.urlsafe_b64encode(PHOTO).rstrip(b"="),
        b"\r\n" + BASE64 + b"\r\n",
        b"data:image/jpeg;base64," + BASE64,
        b"data:;base64," + base64.encodebytes(PHOTO),
    ],
)
@pytest.mark.parametrize("is_base64", [True, False])
def test_a_photo_in_base64(content: bytes, is_base64: bool) -> None:
    """Whether the head says so or not: wrapped, without its padding, in the alphabet of URLs, as a data URI."""
    assert photo_of(content, is_base64=is_base64) == PHOTO
    assert is_base64 or may_be_base64(content[:256])


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\n", b"\r\n\r\n"])
def test_a_photo_as_it_is(before: bytes) -> None:
    """Empty lines before it are none of its bytes."""
    assert photo_of(before + PHOTO, is_base64=False) == PHOTO


@pytest.mark.parametrize(
    "content", [b"", b"no photo", b"A" * 63 + b"!" * 64, b"A" * 65, b"data:image/jpeg;base64,!", PHOTO]
)
@pytest.mark.parametrize("is_base64", [True, False])
def test_what_is_no_base64_stays_as_it_is(content: bytes, is_base64: bool) -> None:
    """For the decoder of photos to refuse."""
    found = photo_of(content, is_base64=is_base64)
    assert found == content or (is_base64 and content == b"no photo")


def test_no_picture_begins_like_base64() -> None:
    for begin in (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a\x01\x00", b"BM\x00", b"II*\x00", b"RIFF\x00"):
        assert not may_be_base64(begin + b"A" * 300)


def test_room_for_base64_of_the_largest_photo() -> None:
    for size in (1, 1000, 10 * 2**20):
        assert len(base64.encodebytes(bytes(size)).replace(b"\n", b"\r\n")) <= encoded_limit(size)


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        *((None, "utf-8"), ("UTF-8", "utf-8"), ("gbk", "gbk"), ("GB2312", "gbk"), ("gb18030", "gb18030")),
        *(("Big5", "big5"), ("Shift_JIS", "shift_jis"), ("euc-jp", "euc_jp"), ("windows-936", "gbk")),
        ("no such charset", "utf-8"),
        ("US-ASCII", "utf-8"),
    ],
)
def test_text_in_the_charset_that_it_names(charset: str | None, codec: str) -> None:
    """What it names wrongly, or what nobody knows, is read as UTF-8."""
    assert text_of("三".encode(codec), charset, "utf-8") == "三"


def test_text_that_names_none() -> None:
    """It is UTF-8 where it can be that, else what the service's operator says."""
    assert text_of("張三".encode("gbk"), None, "gbk") == "張三"
    assert text_of("張三".encode(), None, "gbk") == "張三"
    with pytest.raises(InvalidRequest, match="charset="):
        text_of("張三".encode("gbk"), None, "utf-8")


@pytest.mark.parametrize("charset", ["zlib", "rot13", "idna", "unicode_escape", "utf_7", "../x", "x" * 10**6, "\x00"])
def test_names_that_are_no_charsets(charset: str) -> None:
    """Python has codecs of such names, which do other things."""
    assert text_of(b"abc\\u0041", charset, "utf-8") == "abc\\u0041"


def test_anything_else_is_text_or_refused() -> None:
    for _ in range(200):
        content = os.urandom(12)
        try:
            assert isinstance(text_of(content, "gbk", "big5"), str)
        except InvalidRequest:
            continue
