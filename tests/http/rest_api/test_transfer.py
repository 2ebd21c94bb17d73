"""Export and import through a running service: nothing is lost, nothing comes twice, half an archive is never whole."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.http.rest_api.conftest import Caller

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


async def test_what_is_exported_comes_back(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Numbers, remarks, metadata and vectors, to the byte; and again adds nothing."""
    for name in ("obama", "biden"):
        await caller.register(portraits[name], f"remark={name}")
    body = await caller.ask("GET", "/v1/export", 200)
    lines = body.splitlines()
    assert json.loads(lines[-1])["end"]["count"] == len(lines) - 2 == 2
    assert await caller.ask("POST", "/v1/import", 200, data=body) == {"added": 0, "known": 2, "taken": 0}
    for line in lines[1:-1]:
        await caller.ask("DELETE", f"/v1/faces/{json.loads(line)['face_id']}", 204)
    assert await caller.ask("POST", "/v1/import", 200, data=body) == {"added": 2, "known": 0, "taken": 0}
    assert await caller.ask("GET", "/v1/export", 200) == body


async def test_a_damaged_archive(caller: Caller, portraits: dict[str, bytes]) -> None:
    """The problem names the line; one without its end is not taken for whole."""
    await caller.register(portraits["obama"], "remark=obama")
    body = await caller.ask("GET", "/v1/export", 200)
    head, face, end = body.splitlines(keepends=True)
    for broken, said in (
        (head + face, "line 3: it is cut off"),
        (head + face[:99], "line 2: it is cut off"),
        (head + b"{}\n" + end, "line 2"),
        (head + end, "line 2: the lines before it"),
        (head + face + end + face, "line 4: more follows"),
        (b"", "line 1"),
        (head.replace(b'"face_id_bits": 31', b'"face_id_bits": 53'), "line 1: its numbers"),
    ):
        assert said in await caller.fails(422, "unusable_archive", "POST", "/v1/import", data=broken)
    other = head.replace(b'"preprocessing": ', b'"preprocessing": 9') + face + end
    await caller.fails(409, "contract_mismatch", "POST", "/v1/import", data=other)


async def test_an_archive_may_be_compressed(caller: Caller, portraits: dict[str, bytes]) -> None:
    """By gzip, also of several members. Its first bytes say so, whatever the header; damage has one answer."""
    await caller.register(portraits["obama"], "remark=obama")
    body = await caller.ask("GET", "/v1/export", 200)
    head, rest = body[:50], body[50:]
    for packed in (gzip.compress(body), gzip.compress(head) + gzip.compress(rest)):
        answer = await caller.ask("POST", "/v1/import", 200, data=packed, headers={"Content-Encoding": "GZIP"})
        assert answer["added"] == answer["taken"] == 0
        assert answer["known"] > 0
    unnamed = await caller.ask("POST", "/v1/import", 200, data=gzip.compress(body))
    misnamed = await caller.ask("POST", "/v1/import", 200, data=body, headers={"Content-Encoding": "gzip"})
    assert unnamed == misnamed
    for headers in ({"Content-Encoding": "gzip"}, {}):
        for broken in (gzip.compress(body)[:-99], gzip.compress(body) + b"no gzip"):
            await caller.fails(422, "unusable_archive", "POST", "/v1/import", data=broken, headers=headers)
    bomb = gzip.compress(bytes(100 * 2**20))
    said = await caller.fails(
        422, "unusable_archive", "POST", "/v1/import", data=bomb, headers={"Content-Encoding": "gzip"}
    )
    assert "16777216 bytes" in said
    await caller.fails(
        415, "unsupported_body", "POST", "/v1/import", data=body, headers={"Content-Encoding": "deflate"}
    )
