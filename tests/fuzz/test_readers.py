"""Readers of heads, queries, forms, archives and journals, given anything: they read it, or refuse it as they say."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote, unquote_to_bytes

import pytest
from aiohttp import StreamReader
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from indexer.importing.journal import Entry, Journal, JournalUnavailable
from indexer.importing.outcomes import Outcome
from indexer.importing.photo_files import Photo
from service.errors import InvalidRequest
from service.http.multipart import FormReader
from service.http.part_heads import read_head
from service.http.request_heads import HeadReader
from service.http.targets import in_utf8, plain_path
from service.moving.archive import Seal, face_line, read_face, read_header
from tests.support.stored_faces import embedding, face

pytestmark = pytest.mark.slow

many = settings(max_examples=300, deadline=None, derandomize=True)
"""The same examples in every run: a test must not fail on another day than its cause."""

LIKE_A_FORM = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [b"--XX\r\n", b"\r\n--XX", b"--XX--", b"\n--XX\n", b"\r\n\r\n", b"--", b'form-data; name="image"']
        ),
        st.sampled_from(
            [b"Content-Disposition: ", b"Content-Transfer-Encoding: base64\r\n", b"\r", b"\n", b" ", b"\t"]
        ),
    ),
    max_size=40,
)
LIKE_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=12,
)


def body(pieces: list[bytes]) -> StreamReader:
    flow = SimpleNamespace(_reading_paused=False, pause_reading=lambda: None, resume_reading=lambda **_: None)
    content = StreamReader(cast("Any", flow), 2**16, loop=asyncio.get_running_loop())
    for piece in pieces:
        content.feed_data(piece)
    content.feed_eof()
    return content


async def parts_of(pieces: list[bytes]) -> list[tuple[str | None, bytes]] | None:
    """The parts, None where the form is refused."""
    form, parts = FormReader(body(pieces), b"XX"), []
    try:
        while (head := await form.next()) is not None:
            content = b""
            while chunk := await form.chunk():
                content += chunk
            parts.append((head.name, content))
    except InvalidRequest:
        return None
    return parts


@many
@given(LIKE_A_FORM)
def test_a_form_reads_the_same_in_whatever_pieces_it_comes(pieces: list[bytes]) -> None:
    whole = asyncio.run(parts_of([b"".join(pieces)]))
    assert asyncio.run(parts_of([bytes([each]) for each in b"".join(pieces)])) == whole


@many
@given(st.binary(max_size=2000).filter(lambda content: b"--XX" not in content), st.booleans())
def test_a_sound_form_gives_its_content_back(content: bytes, last: bool) -> None:
    form = b'--XX\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + content + b"\r\n--XX" + b"--\r\n" * last
    assert asyncio.run(parts_of([form])) == [("image", content)]


@many
@given(st.binary(max_size=500))
@example(b"Content-Disposition: form-data; name=" + b'"' * 300)
def test_every_head_of_a_part_is_read(head: bytes) -> None:
    assert read_head(head).described


@many
@given(st.binary(min_size=1, max_size=600), st.integers(0, 600))
def test_every_head_of_a_request_is_read_or_refused_in_a_sentence(received: bytes, cut: int) -> None:
    """However it is cut into pieces; and what is handed on has nothing that ends a header early."""
    reader, heads = HeadReader(), []
    for piece in (received[:cut], received[cut:]):
        rest = piece
        while rest:
            head, rest = reader.take(rest)
            heads.append(head)
    if reader:
        heads.append(reader.cut_short())
    for each in filter(None, heads):
        assert bool(each.refusal) != bool(each.content)
        assert each.path.startswith("/") or each.path


@many
@given(st.binary(max_size=200), st.sampled_from(["utf-8", "gbk", "big5", "shift_jis", "windows-1252"]))
def test_a_query_becomes_utf_8_or_stays_as_it_is(value: bytes, charset: str) -> None:
    """And what is UTF-8 already keeps its meaning."""
    query = f"remark={quote(value)}&limit=2"
    read = in_utf8(query, charset)
    assert read.endswith("&limit=2")
    with suppress(UnicodeDecodeError):
        assert unquote_to_bytes(read).decode().startswith("remark=" + value.decode())
    assert in_utf8(read, charset) == read


@many
@given(st.text(alphabet="/ab.%", max_size=40))
def test_a_plain_path_stays_plain(path: str) -> None:
    assert plain_path(plain_path(path)) == plain_path(path)
    assert "//" not in plain_path(path)


@many
@given(st.one_of(st.binary(), LIKE_JSON.map(lambda value: json.dumps(value).encode())))
def test_every_line_of_an_archive_is_read_or_refused(line: bytes) -> None:
    for read in (read_header, lambda content: read_face(content, 512)):
        with suppress(ValueError):
            read(line)
    seal = Seal(b"header")
    with suppress(ValueError):
        seal.is_face(line)


FACE: dict[str, Any] = json.loads(face_line(face(1, metadata={"badge": 7}), embedding(1)))


@many
@given(st.sampled_from(sorted(FACE)), LIKE_JSON)
def test_every_field_of_a_face_may_be_anything(name: str, value: object) -> None:
    with suppress(ValueError):
        read, vector = read_face(json.dumps(FACE | {name: value}).encode(), 512)
        assert vector.shape == (512,)
        assert read.face_id > 0


@settings(many, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 30_000), st.binary(min_size=1, max_size=400))
def test_a_damaged_journal_claims_no_more_than_it_held(tmp_path: Path, place: int, damage: bytes) -> None:
    """It is put aside, refused with the reason, or still says what was true."""
    path = tmp_path / "journal.sqlite"
    for each in tmp_path.iterdir():
        each.unlink()
    photo = Photo(Path("/photos/1.jpg"), "Ann", size=5, modified_ns=17)
    entry = Entry(photo, "ab" * 32, Outcome.REGISTERED, face_ids=(1, 2))
    with closing(Journal.open(path, "terms")) as journal:
        journal.record([entry])
    content = bytearray(path.read_bytes())
    at = place % len(content)
    content[at : at + len(damage)] = damage
    path.write_bytes(content)
    with suppress(JournalUnavailable), closing(Journal.open(path, "terms")) as journal:
        assert journal.find(photo) in {None, entry}
        journal.record([entry])


def test_the_face_whose_fields_are_exchanged_is_sound() -> None:
    read, _ = read_face(json.dumps(FACE).encode(), 512)
    assert read == face(1, metadata={"badge": 7})
