"""Heads of parts, as the clients of many years write them."""

from __future__ import annotations

import time

import pytest

from service.http.part_heads import boundary_of, read_head


@pytest.mark.parametrize(
    "head",
    [
        'Content-Disposition: form-data; name="image"; filename="1.jpg"',
        "content-disposition:form-data;name=image;filename=my photo.jpg",
        "Content-Disposition: form-data; name='image'; filename='a; b.jpg'",
        'Content-Disposition: form-data; filename="a; name=wrong.jpg"; name="image";',
        'Content-Disposition: form-data; filename="a \\"; name=\\"wrong"; name="image" ; ',
        'Content-Disposition: form-data;\r\n name="image";\r\n\tfilename="1.jpg"',
        'Content-Disposition: form-data;\n name="image"\nContent-Type: image/jpeg',
        'Content-Disposition: form-data; filename="C:\\photos\\1.jpg"; name="image"',
        "Content-Disposition: form-data; name=image; name=wrong",
        'Content-Disposition: form-data ; NAME = "image"',
        'Content-Disposition: form-data; name="image',
        'no colon\r\n: no name\r\nContent-Disposition: form-data; name="image"; filename="\xff\u5f35.jpg"',
        "Content-Disposition: form-data; filename*=UTF-8''%e5%bc%b5.jpg; name=image",
    ],
)
def test_the_name(head: str) -> None:
    """In quotes of either kind or none, folded, with semicolons behind, whatever the file's name is."""
    assert read_head(head.encode("utf-8", "surrogateescape")).name == "image"


@pytest.mark.parametrize("head", ["", "Content-Type: image/jpeg", "Content-Disposition: x; filename=image", ";"])
def test_no_name(head: str) -> None:
    found = read_head(head.encode())
    assert found.name is None
    assert found.described == "one whose head has no name="


def test_what_the_content_is() -> None:
    head = (
        b"Content-Disposition: form-data; name=remark\r\nContent-Type: Text/Plain; Charset='GBK'\r\n"
        b"content-transfer-encoding: Base64 "
    )
    found = read_head(head)
    assert (found.charset, found.is_base64, found.is_multipart) == ("GBK", True, False)
    assert read_head(b"Content-Type: Multipart/Mixed; boundary=x").is_multipart


def test_the_sentence_has_no_name_that_a_person_may_have_written() -> None:
    for name, said in (
        ("file", "`file`"),
        ("Erika Mustermann", "one of another name"),
        ("x" * 33, "one of another name"),
    ):
        assert read_head(f'Content-Disposition: form-data; name="{name}"'.encode()).described == said


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=XX", "XX"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b:c"', "a b:c"),
        ("multipart/form-data;boundary=----x;", "----x"),
        ("multipart/form-data", None),
        ('multipart/form-data; boundary=""', None),
    ],
)
def test_the_boundary(content_type: str, boundary: str | None) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.slow
@pytest.mark.parametrize("unit", [b";", b'; a="', b"; a='", b'\\"', b"; name=", b" ", b"\r\n "])
def test_heads_of_the_greatest_length_take_no_time(unit: bytes) -> None:
    began = time.process_time()
    read_head(b"Content-Disposition: form-data" + unit * (16 * 1024 // len(unit)))
    assert time.process_time() - began < 0.5
