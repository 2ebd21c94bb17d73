"""What URLs mean, whichever way they are written."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from yarl import URL

from service.http.targets import in_utf8, plain, plain_path
from service.settings import Settings
from tests.conftest import MODELS, Start
from tests.support.device import Device, form, multipart
from tests.support.signing import answer


@pytest.mark.parametrize(
    ("path", "meant"),
    [("/x", "/x"), ("//x", "/x"), ("/x/", "/x"), ("///x//y//", "/x/y"), ("/", "/"), ("//", "/"), ("", "/"), ("*", "*")],
)
def test_slashes(path: str, meant: str) -> None:
    assert plain_path(path) == meant


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("", ""),
        ("remark=a+b%20c&x", "remark=a+b%20c&x"),
        ("remark=%E5%BC%B5", "remark=%E5%BC%B5"),
        ("remark=%8F%88%C8%FD&limit=1", "remark=%E5%BC%B5%E4%B8%89&limit=1"),
        ("a=%E5%BC%B5&remark=%C8%FD+%2B&%C8%FD=", "a=%E5%BC%B5&remark=%E4%B8%89%20%2B&%E4%B8%89="),
        ("remark=%FF%FF", "remark=%FF%FF"),
        ("remark=%", "remark=%"),
    ],
)
def test_queries_of_another_charset(query: str, meant: str) -> None:
    """Each piece that isn't UTF-8 by itself is read in it; a plus that is meant stays one."""
    assert in_utf8(query, "gbk") == meant


def test_what_is_plain_stays_as_it_is() -> None:
    url = URL.build(path="/x", query_string="remark=%E5%BC%B5", encoded=True)
    assert plain(url, "gbk") is url
    assert str(plain(URL.build(path="//x/", query_string="a=%FF", encoded=True), "utf-8")) == "/x?a=%FF"


@pytest.mark.slow
async def test_a_service_of_another_charset(start: Start, tmp_path: Path, portraits: dict[str, bytes]) -> None:
    """FACE_REMARK_CHARSET: in the query, percent-encoded or raw, and in forms; UTF-8 stays what it is."""
    client = await start(
        Settings(data=tmp_path / "data", model_dir=MODELS, model="casia-webface", remark_charset="gbk")
    )
    device, name = Device(client), "張三"
    query = f"/registration_face?remark={quote(name.encode('gbk'))}"
    await device.succeeds("POST", query, data=form(portraits["obama"]))
    assert await device.remarks() == [name]
    await device.delete_all()
    parts = multipart(("remark", name.encode("gbk")), ("image", portraits["obama"]))
    await device.succeeds("POST", "/registration_face", **parts)
    assert await device.remarks() == [name]
    await device.delete_all()
    head = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + "".join(
        f"{a}: {b}\r\n" for a, b in parts["headers"].items()
    )
    for codec in ("gbk", "utf-8"):
        body = multipart(("image", portraits["obama"]))["data"]
        sent = f"POST /registration_face?remark={name} ".encode(codec) + head.encode()
        sent += f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        assert (await answer(client.port or 0, sent))["code"] == 0
    assert await device.remarks() == [name]
