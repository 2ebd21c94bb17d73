"""Names of encodings as people write them, and paths of any bytes as people read them."""

from __future__ import annotations

import os

import pytest

from indexer.importing.names import Names, known_encoding


@pytest.mark.parametrize(
    ("name", "known"), [("GBK", "gbk"), ("UTF8", "utf-8"), ("utf-8-sig", "utf-8"), ("big5", "big5")]
)
def test_any_encoding_of_text_is_known(name: str, known: str) -> None:
    assert known_encoding(name) == known


def test_what_names_none_is_refused() -> None:
    """Also what Python calls a codec, but turns text into text."""
    for name in ("", "gbkk", "rot13", "hex", "undefined", "a\0b", "\udcff", "x" * 100_000):
        with pytest.raises(ValueError, match="is no encoding of text that Python knows; gbk"):
            known_encoding(name)


def test_a_path_is_shown_in_its_encoding() -> None:
    assert Names("gbk").shown(os.fsdecode("张三/1.jpg".encode("gbk"))) == "张三/1.jpg"


def test_a_path_of_other_bytes_does_nothing_to_a_terminal() -> None:
    assert Names().shown(os.fsdecode(b"\xff\x1b[2J\n/1.jpg")) == "\ufffd\\x1b[2J\\n/1.jpg"
