"""Requests of devices in the field, whole and byte for byte; and that nothing personal in them reaches the log."""

from __future__ import annotations

import json
import warnings

import pytest

from service.logs import TextFormatter
from tests.support.device import BOUNDARY, Client, Device
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
