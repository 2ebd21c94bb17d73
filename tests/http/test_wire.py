"""Requests of devices in the field, whole and byte for byte; and that nothing personal in them reaches the log."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.logs import TextFormatter
from service.settings import Settings
from tests.conftest import running
from tests.support.device import BOUNDARY, Client, Device, multipart
from tests.support.photos import SHARED
from tests.support.signing import exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = {
    "reg_raw_utf8": ["张三"],
    "reg_raw_space": ["Zhang San"],
    "reg_form_gbk_charset": ["张三"],
    "reg_empty_query_form": ["inform"],
    **{case: [] for case in ("unquoted_space", "folded", "lf_only", "no_final_boundary", "cte_base64", "data_uri")},
    **{case: [] for case in ("http11_nohost", "trailing_slash")},
}
"""The remarks that are registered after each."""


@pytest.mark.parametrize(("case", "remarks"), CASES.items(), ids=CASES)
async def test_a_request_of_the_field(service: Client, device: Device, case: str, remarks: list[str]) -> None:
    """Sent in one packet, it is carried out."""
    path = SHARED / "cases" / "requests" / f"{case}.http"
    if not path.is_file():
        pytest.skip("needs the folder ../shared (LFW photos, vggface2 weights)")
    sent = path.read_bytes().replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    _, body = await exchange(service.port or 0, sent)
    assert json.loads(body)["code"] == 0
    assert await device.remarks() == remarks


PHOTOS = {
    **{f"{name}_{number}.jpg": 1004 for name in ("blurred", "dark") for number in (1, 2, 3)},
    **dict.fromkeys(("rot90_noexif.jpg", "png_big_ztxt.png", "progressive_no_eoi.jpg"), 0),
    **dict.fromkeys(("wide20000x400.jpg", "gray12in16.png"), 0),
    "motorcycle_left.png": 1004,
}
"""The code of the answer to a registration of each."""


@pytest.mark.parametrize(("name", "code"), PHOTOS.items(), ids=PHOTOS)
async def test_a_photo_of_the_field(device: Device, name: str, code: int) -> None:
    """It is registered, or refused for what it is."""
    path = SHARED / "cases" / "photos" / name
    if not path.is_file():
        pytest.skip("needs the folder ../shared (cases)")
    answer = await device.ask("POST", "/registration_face?remark=x", **multipart(("image", path.read_bytes())))
    assert answer["code"] == code, answer
    assert await device.remarks() == ([] if code else ["x"])


@pytest.mark.parametrize(("charset", "code", "remarks"), [("utf-8", 1001, []), ("gbk", 0, ["张三"])])
async def test_a_remark_in_gbk_without_saying_so(
    service_settings: Settings, tmp_path: Path, charset: Any, code: int, remarks: list[str]
) -> None:
    """Is read where the operator says what devices write, byte for byte as it came from one."""
    path = SHARED / "cases" / "requests" / "reg_gbk.http"
    if not path.is_file():
        pytest.skip("needs the folder ../shared (cases)")
    async with running(replace(service_settings, remark_charset=charset, data=tmp_path)) as service:
        sent = path.read_bytes().replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        _, body = await exchange(service.port or 0, sent)
        assert json.loads(body)["code"] == code
        assert await Device(service).remarks() == remarks


@pytest.mark.parametrize("target", ["/registration_face?remark=A#1 B&x=2", "/registration_face?x=2&remark=A%231%20B"])
async def test_a_hash_in_the_url_is_meant(
    service: Client, device: Device, portraits: dict[str, bytes], target: str
) -> None:
    """As some clients write it in a remark: what stands behind it belongs to the query, and is not lost."""
    form = multipart(("image", portraits["obama"]))
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(form['data'])}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in form["headers"].items())
    _, body = await exchange(service.port or 0, f"{head}\r\n".encode() + form["data"])
    assert json.loads(body)["code"] == 0
    assert await device.remarks() == ["A#1 B"]


MARKER = "Erika-Mustermann"
IMAGE = 'Content-Disposition: form-data; name="image"'


def planted(photo: bytes) -> list[bytes]:
    """Requests with the marker wherever a person's name may stand, good and bad ones."""
    heads = [
        f'{IMAGE}; filename="{MARKER}.jpg"',
        f"{IMAGE}; filename={MARKER} {MARKER}.jpg",
        f'Content-Disposition: form-data; filename="{MARKER}"',
        f'Content-Disposition: {MARKER}; name="{MARKER}"',
        f"{MARKER}\r\n{IMAGE}",
        f"{IMAGE}\r\nContent-Type: {MARKER}\r\nContent-Transfer-Encoding: {MARKER}",
        f"{IMAGE}\r\nX: {'x' * 20_000}{MARKER}",
    ]
    targets = [
        f"/registration_face?remark={MARKER}",
        f"/registration_face?remark={MARKER} 張%FF",
        f"//{MARKER}/?faceId={MARKER}",
        f"/recognition_face?limits={MARKER}",
        f"/v1/identify?{MARKER}={MARKER}",
        f"/get_registration_face?after={MARKER}&{MARKER}",
    ]
    fields = [f'Content-Disposition: form-data; name="remark"\r\nContent-Type: text/plain; charset={MARKER}']
    requests = []
    for head in heads:
        for target in targets:
            for boundary in (BOUNDARY, MARKER):
                parts = "".join(f"--{BOUNDARY}\r\n{field}\r\n\r\n{MARKER}\r\n" for field in fields)
                body = f"{parts}--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + photo + f"\r\n--{BOUNDARY}--".encode()
                requests.append(
                    f"POST {target} HTTP/1.1\r\nHost: {MARKER}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
                    f"Content-Type: multipart/form-data; boundary={boundary}\r\n\r\n".encode()
                    + body
                )
    return requests


@pytest.mark.slow
async def test_names_stay_out_of_the_log(
    service: Client, device: Device, portraits: dict[str, bytes], logged: pytest.LogCaptureFixture
) -> None:
    """Neither remarks nor the names of files, in no line and no warning, even at DEBUG; nor in a refusal."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for photo in (portraits["obama"], MARKER.encode()):
            for request in planted(photo):
                _, body = await exchange(service.port or 0, request)
                answer = json.loads(body)
                assert answer["code"] == 0 or MARKER not in body.decode()
    assert not [each for each in warned if MARKER in str(each.message)]
    records = [record for record in logged.records if record.name != "asyncio"]
    assert len(records) > 100
    assert MARKER not in "\n".join(TextFormatter().format(record) + str(vars(record)) for record in records)
