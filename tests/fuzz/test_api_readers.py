"""Readers of queries, JSON bodies, addresses, settings, tables, photos' heads and encrypted faces, given anything."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from indexer.importing.tables import BadRow, Row, Table, UnreadableSource
from scripts.fuzz.photo_seeds import photo_seeds
from service.errors import InvalidImage, InvalidRequest, InvalidSettings, UnknownFace, UnreadableFace
from service.http.compreface import queries as compreface
from service.http.compreface.queries import face_id_of, image_id
from service.http.rest_api import json_bodies, queries
from service.http.rest_api.json_bodies import read_json
from service.http.rest_api.queries import key_of_cursor, read_query
from service.picture_addresses import SIGNATURE, PictureAddresses
from service.settings import Settings
from service.stores.encryption.cipher import GalleryCipher, key_of
from service.values import MAX_FACE_ID
from service.vision.containers.check import is_ordinary
from tests.fuzz.test_readers import LIKE_JSON, many
from tests.support.stored_faces import face

pytestmark = pytest.mark.slow

MAX_PIXELS = 10**8
some = settings(many, max_examples=100)
"""Where an example takes longer than others."""
QUERIES = (
    *(queries.SearchQuery, queries.IdentifyQuery, queries.VerifyQuery, queries.RegisterQuery, queries.ListQuery),
    *(queries.RemovalQuery, queries.PeopleQuery, queries.EventsQuery),
)
BODIES = (
    *(json_bodies.PhotoBody, json_bodies.TwoPhotosBody, json_bodies.RegisterBody, json_bodies.EmbeddingBody),
    *(json_bodies.FaceChangesBody, json_bodies.RenameBody),
)
ODD = st.sampled_from(["", "0", "-1", "1e400", "nan", "1_0", "١", "%ED%A0%80", "2030-01-31T18:00:00Z", "{}", "default"])
TEXTS = st.one_of(ODD, st.text(max_size=40), st.binary(max_size=20).map(quote), st.integers().map(str))
CIPHER = GalleryCipher(bytes(range(32)))
ADDRESSES = PictureAddresses(public_url="https://faces.example", keys=("k" * 32, "j" * 32))
PHOTOS = list(photo_seeds().values())


def parameters(models: tuple[type[BaseModel], ...]) -> st.SearchStrategy[tuple[type[BaseModel], str]]:
    """A query's model, and a query of some of its parameters and others."""

    def of(model: type[BaseModel]) -> st.SearchStrategy[tuple[type[BaseModel], str]]:
        named = st.tuples(st.sampled_from([*model.model_fields, "other"]), TEXTS)
        return st.lists(named, max_size=4).map(
            lambda pairs: (
                model,
                "&".join(f"{name}={quote(value, safe='%', errors='replace')}" for name, value in pairs),
            )
        )

    return st.sampled_from(models).flatmap(of)


@some
@given(parameters(QUERIES))
def test_every_query_of_v1_is_read_or_refused_in_a_sentence(asked: tuple[type[BaseModel], str]) -> None:
    model, query = asked
    said = "."
    try:
        read = read_query(make_mocked_request("GET", f"/v1/faces?{query}"), model)
        if model is not queries.EventsQuery:
            key_of_cursor(getattr(read, "cursor", None))
    except InvalidRequest as refusal:
        said = str(refusal)
    assert said.endswith(".")


@some
@given(parameters((compreface.FacesQuery, compreface.RecognizeQuery, compreface.PageQuery)))
def test_every_query_of_compreface_is_read_or_refused(asked: tuple[type[BaseModel], str]) -> None:
    model, query = asked
    with suppress(InvalidRequest):
        compreface.read(make_mocked_request("GET", f"/api/v1/recognition/faces?{query}"), model)


@many
@given(st.one_of(st.text(max_size=40), st.uuids().map(str), st.integers(0, 2**60).map(image_id)))
def test_every_image_id_is_a_face_or_refused(text: str) -> None:
    request = make_mocked_request("GET", "/api/v1/recognition/faces")
    with suppress(InvalidRequest, UnknownFace):
        face_id = face_id_of(request, text)
        assert 1 <= face_id <= MAX_FACE_ID
        assert image_id(face_id) == text.lower()


@many
@given(
    st.sampled_from(BODIES), st.one_of(st.binary(max_size=200), LIKE_JSON.map(lambda each: json.dumps(each).encode()))
)
@example(json_bodies.FaceChangesBody, b"[" * 100_000)
@example(json_bodies.RenameBody, b'{"remark": "\\ud800"}')
@example(json_bodies.EmbeddingBody, b'{"embedding": [' + b",".join([b"1e999"] * 512) + b"]}")
def test_every_json_body_is_read_or_refused(model: type[BaseModel], content: bytes) -> None:
    with suppress(InvalidRequest):
        read_json(content, model)


@many
@given(st.sampled_from(["remark", "metadata", "expires_at", "merge", "image"]), st.sampled_from(BODIES), LIKE_JSON)
def test_every_member_of_a_json_body_may_be_anything(name: str, model: type[BaseModel], value: object) -> None:
    sound: dict[str, object] = {"image": "", "remark": "Ann", "metadata": {}, "expires_at": None}
    members = {each: sound[each] for each in sound if each in model.model_fields} | {name: value}
    with suppress(InvalidRequest):
        read: Any = read_json(json.dumps(members).encode(), model)
        assert isinstance(getattr(read, "expires_at", None), datetime | None)


@many
@given(st.integers(1, MAX_FACE_ID), st.text(max_size=80))
def test_only_the_signature_of_a_face_opens_its_picture(face_id: int, text: str) -> None:
    signature = ADDRESSES.address(face_id).partition(f"{SIGNATURE}=")[2]
    assert ADDRESSES.is_signed(face_id, signature)
    assert not ADDRESSES.is_signed(face_id, text)
    assert not ADDRESSES.is_signed(face_id % MAX_FACE_ID + 1, signature)
    assert not ADDRESSES.is_signed(face_id, signature.upper())


@many
@given(st.sampled_from(["remark", "sha256", "picture", "metadata"]), st.text(max_size=60), st.integers(0, 200))
def test_an_encrypted_face_that_was_altered_is_known_as_such(name: str, put_in: str, place: int) -> None:
    """Whatever stands in whichever of its fields; never another remark, picture or metadata than was encrypted."""
    plain = face(7, metadata={"badge": 7})
    sealed = CIPHER.encrypt(plain)
    held: Any = getattr(sealed, name)
    text = str(held["sealed"] if name == "metadata" else held)
    altered = text[:place] + put_in + text[place + len(put_in) :]
    changes: dict[str, Any] = {name: {"sealed": altered} if name == "metadata" else altered}
    with suppress(UnreadableFace):
        assert CIPHER.decrypt(replace(sealed, **changes)) == plain


@many
@given(st.one_of(st.text(max_size=90), st.binary(max_size=40).map(bytes.hex)))
def test_every_text_is_a_key_of_32_bytes_or_none(text: str) -> None:
    with suppress(ValueError):
        assert len(key_of(text)) == 32


@many
@given(
    st.sampled_from(
        [
            *("FACE_RETENTION_DAYS", "FACE_AUDIT_DAYS", "FACE_PURGE_S", "FACE_PICTURE_KEY", "FACE_PUBLIC_URL"),
            *("FACE_ENCRYPTION_KEY", "FACE_COMPREFACE", "FACE_MAX_QUEUE", "FACE_DECODE_S"),
        ]
    ),
    TEXTS,
)
def test_every_value_of_a_setting_is_taken_or_refused_by_its_name(name: str, value: str) -> None:
    said = name
    try:
        Settings.from_env({name: value})
    except InvalidSettings as refusal:
        said = str(refusal)
    assert name in said


LONG = b"<long>"
"""Stands for a cell that is larger than Python's reader takes."""
LIKE_A_TABLE = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"path,remark\n", b"remark;path\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]),
        st.sampled_from([b'"', b"\n", b"\r", b"\0", b",", b";", b"\t", b"1.jpg,Ann\n", LONG]),
    ),
    max_size=12,
)


@settings(some, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIKE_A_TABLE, st.sampled_from(["utf-8", "gbk", "shift_jis", "utf-16"]))
def test_every_table_of_photos_is_read_line_by_line_or_refused(
    tmp_path: Path, pieces: list[bytes], encoding: str
) -> None:
    file = tmp_path / "photos.csv"
    file.write_bytes(b"".join(pieces).replace(LONG, b"a" * 200_000))
    with suppress(UnreadableSource, csv.Error):  # which photo_files tells in a sentence
        for row in Table.of(file, encoding).rows():
            assert isinstance(row, Row | BadRow)


@many
@given(st.sampled_from(PHOTOS), st.integers(0, 200), st.binary(max_size=40), st.integers(0, 100))
def test_every_head_of_a_photo_is_looked_at_without_a_failure(
    photo: bytes, place: int, put_in: bytes, left_out: int
) -> None:
    """Before anything decodes it: it may go on to a reader, or is refused in a sentence."""
    damaged = photo[:place] + put_in + photo[place + left_out :]
    with suppress(InvalidImage):
        is_ordinary(damaged, max_pixels=MAX_PIXELS)
