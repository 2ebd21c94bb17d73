"""What is no photo is refused with what it is, and what to do."""

from __future__ import annotations

import base64
import random

import pytest

from service.errors import InvalidImage, UnsupportedFormat
from service.vision.file_kinds import SHOWN, file_kind
from service.vision.images import FORMATS, accept

ZIP = b"PK\x03\x04" + bytes(26)

KINDS: dict[str, list[bytes]] = {
    "a web page": [
        b"<!DOCTYPE html><html>",
        b"\xef\xbb\xbf\r\n <html lang='zh'>",
        b"<!-- by us -->\n<HTML>",
        b"<head>\n",
    ],
    "an SVG drawing": [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?>\n<svg width='1'/>"],
    "an XML document": [b"<?xml version='1.0'?><a/>", b"<rss>"],
    "a data: address": [b"data:image/jpeg;base64,/9j/4AAQSkZJRg", b"DATA:;base64,QQ=="],
    "an address": [b"https://example.org/photo.jpg", b"file:///photo.jpg"],
    "a JSON document": [b'{"image": "/9j/4AAQ"}', b'[{"a": 1}]', b"{}", b" [1, 2]"],
    "a form inside a form": [b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n'],
    "an HTTP message": [b"HTTP/1.1 200 OK\r\n\r\n\xff\xd8\xff", b"POST /recognition_face HTTP/1.1\r\n"],
    "a PDF document": [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"],
    "a PostScript document": [b"%!PS-Adobe-3.0 EPSF-3.0\n"],
    "an Office document": [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), ZIP + b"word/document.xml"],
    "a ZIP archive": [ZIP + b"photo.jpg", b"PK\x05\x06" + bytes(18)],
    "an archive": [b"Rar!\x1a\x07\x00", b"7z\xbc\xaf\x27\x1c"],
    "a compressed file": [b"\x1f\x8b\x08\x00\x00", b"\x28\xb5\x2f\xfd\x24"],
    "a HEIC photo": [b"\0\0\0\x18ftypheic\0\0\0\0", b"\0\0\0\x18ftypmif1\0\0\0\0"],
    "a camera's raw photo": [b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1"],
    "a video": [b"\0\0\0\x18ftypmp42\0\0\0\0", b"\0\0\0\x14ftypqt  ", b"\x1aE\xdf\xa3\x01", b"RIFF\x24\0\0\0AVI LIST"],
    "a sound": [b"RIFF\x24\0\0\0WAVEfmt ", b"ID3\x03\0\0"],
    "a Photoshop document": [b"8BPS\0\1"],
    "a JPEG XL photo": [b"\xff\x0a\xfa\x1f", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "a JPEG 2000 photo": [b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0"],
    "an icon": [b"\0\0\1\0\1\0\x10\x10"],
    "a Netpbm picture": [b"P6\n1 1\n255\n\xff\0\0"],
    "a program": [b"\x7fELF\2\1\1", b"#!/bin/sh\n"],
    "base64": [base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(90)), base64.b64encode(random.Random(1).randbytes(300))],
    "hex digits": [(b"\xff\xd8\xff\xe0" + bytes(90)).hex().encode()],
    "nothing but zeros": [bytes(5000)],
    "text": ["не картинка, а текст".encode(), b"name,remark\n1.jpg,Ann\n", "照片".encode(), "hello".encode("utf-16")],
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_is_is_said(kind: str) -> None:
    """With the formats that are read, and what to do."""
    for content in KINDS[kind]:
        with pytest.raises(UnsupportedFormat) as refusal:
            accept(content, max_bytes=10**6, max_pixels=10**6)
        sentence = str(refusal.value)
        assert sentence.startswith(f"The image is none of {', '.join(FORMATS)}, but {kind}")
        assert sentence.endswith(".")
        assert "; " in sentence


def test_what_nobody_knows_is_shown_as_four_bytes() -> None:
    with pytest.raises(UnsupportedFormat, match="and begins with the bytes 82 e9 f6 07; convert it to JPEG"):
        accept(bytes.fromhex("82e9f607") + random.Random(0).randbytes(5000), max_bytes=10**6, max_pixels=10**6)


@pytest.mark.parametrize(
    "secret",
    ["пароль: qwerty12345", "hunter2hunter2", '{"token": "abcdefghij"}', "张三", "c2VjcmV0" * 12, "--b\r\nErika"],
)
def test_what_people_wrote_is_not_shown(secret: str) -> None:
    """So that what was sent by mistake stays out of answers and logs."""
    with pytest.raises(UnsupportedFormat) as refusal:
        accept(secret.encode(), max_bytes=10**6, max_pixels=10**6)
    assert "begins with «" not in str(refusal.value)
    assert secret[:4] not in str(refusal.value)


@pytest.mark.parametrize("content", ["<!DOCTYPE html><title>Ann</title>", "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBD"])
def test_how_a_format_begins_is_shown(content: str) -> None:
    """A few characters of it, by which a file is known."""
    with pytest.raises(UnsupportedFormat) as refusal:
        accept(content.encode(), max_bytes=10**6, max_pixels=10**6)
    assert f"(it begins with «{content[:SHOWN]}»)" in str(refusal.value)


@pytest.mark.parametrize("odd", ["\x1b[2Jevil", "\u202egpj.exe", "»; drop", "\ud7ff\ufffe\u0000", "\n\n"])
def test_what_terminals_obey_is_not_shown(odd: str) -> None:
    """Neither control characters nor those that turn the direction of writing."""
    for content in (odd.encode("utf-8", "surrogatepass"), b"ab" + odd.encode("utf-8", "surrogatepass")):
        with pytest.raises(UnsupportedFormat) as refusal:
            accept(content, max_bytes=10**6, max_pixels=10**6)
        sentence = str(refusal.value)
        assert sentence.isprintable()
        assert sentence.count("«") == sentence.count("»") <= 1


def test_a_photo_of_a_format_that_is_read_is_damaged_and_not_of_another_format() -> None:
    for content in (
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"GIF89a",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"II*\0",
    ):
        with pytest.raises(InvalidImage, match=r"^The image is damaged; send it again\.$") as refusal:
            accept(content, max_bytes=10**6, max_pixels=10**6)
        assert not isinstance(refusal.value, UnsupportedFormat)


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_have_a_kind_or_none(seed: int) -> None:
    """Nothing is raised, whatever comes first, also where it is megabytes of one thing."""
    chance = random.Random(seed)
    for beginning in (b"", b"<", b"{", b"--", b"P", b"\0\0\0\x18ftyp", b"<!--"):
        file_kind(beginning + chance.randbytes(chance.randrange(2000)))
        file_kind(beginning + bytes([chance.randrange(256)]) * 2_000_000)
