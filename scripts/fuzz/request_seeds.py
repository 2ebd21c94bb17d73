"""Whole requests as bytes, one for each operation and for some oddities of devices, to be damaged."""

from __future__ import annotations

MARKER = b"Zq7MarkerZq7"
"""Stands where a person's name or a secret may stand: no refusal and no line of the log may show it."""

_BOUNDARY = "fuzzedge"


def request_seeds(photo: bytes) -> tuple[bytes, ...]:
    """The requests; each asks to have its connection closed behind the answer."""
    return (
        *_with_photos(photo),
        *(_request(line, body, f"Content-Type: application/{kind}") for line, body, kind in _BODIES),
        *(_head(line, f"X-Face-Device: {MARKER.decode()}") for line in _ASKED),
    )


_BODIES = (
    ("POST /v1/identify/embedding", b'{"embedding": [0.1, 0.2]}', "json"),
    ("POST /v1/galleries", b'{"gallery": "second", "note": "%b"}' % MARKER, "json"),
    ("PATCH /v1/faces/1", b'{"remark": "%b", "metadata": {"a": [1, 2.5, null]}}' % MARKER, "json"),
    ("PATCH /v1/people/nobody", b'{"remark": "%b"}' % MARKER, "json"),
    ("POST /v1/import", b'{"format": "face-gallery"}\n{"face_id": 1}\n', "x-ndjson"),
)
_ASKED = (
    *(
        "GET /get_registration_face",
        "GET /get_registration_face?face_id=7",
        "DELETE /delete_registration_face?face_id=1",
    ),
    *(
        "GET /v1/faces?limit=10",
        "GET /v1/people?limit=5&after=x",
        "GET /v1/export",
        "GET /v1/stats",
        "GET /openapi.json",
    ),
    *(
        "GET /v1/faces/12/picture",
        "DELETE /v1/people/nobody",
        "OPTIONS /v1/faces",
        "GET /",
        "GET /metrics",
        "GET /readyz",
    ),
    *("HEAD /healthz", "CONNECT example.org:443", "GET //get_registration_face/", "PUT /v1/galleries/default"),
)


def _with_photos(photo: bytes) -> list[bytes]:
    form = _form(b"image", photo)
    sent = [
        _request(f"POST {path}", _form(b"remark", MARKER) + form + _END, _MULTIPART)
        for path in ("/registration_face?remark=%E5%BC%A0", "/recognition_face?limit=2", "/v1/faces?quality=off")
    ]
    sent += [_request(f"POST /v1/{each}", form + _END, _MULTIPART) for each in ("detect", "embed", "identify")]
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(form + _END), form + _END)
    return [
        *sent,
        _request("POST /v1/verify", form + _form(b"image2", photo) + _END, _MULTIPART),
        _request("POST /v1/faces:batch", form * 3 + _END, _MULTIPART),
        _request("POST /v1/detect", photo, "Content-Type: image/jpeg"),
        _head("POST /recognition_face", _MULTIPART, "Transfer-Encoding: chunked") + chunks,
        _request("POST /recognition_face", form + _END, _MULTIPART, "Expect: 100-continue"),
    ]


_MULTIPART = f"Content-Type: multipart/form-data; boundary={_BOUNDARY}"
_END = f"--{_BOUNDARY}--\r\n".encode()


def _form(name: bytes, content: bytes) -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b.jpg"\r\n\r\n'
    return head % (_BOUNDARY.encode(), name, MARKER) + content + b"\r\n"


def _request(line: str, body: bytes, *headers: str) -> bytes:
    return _head(line, f"Content-Length: {len(body)}", *headers) + body


def _head(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: door", "Connection: close", *headers, "", ""]).encode()
