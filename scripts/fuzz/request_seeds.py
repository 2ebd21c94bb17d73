"""Whole requests as bytes, one for each operation and for some oddities of devices, to be damaged."""

from __future__ import annotations

from base64 import b64encode

MARKER = b"Zq7MarkerZq7"
"""Stands where a person's name or a secret may stand: no refusal and no line of the log may show it."""

_BOUNDARY = "fuzzedge"


def request_seeds(photo: bytes) -> tuple[bytes, ...]:
    """The requests; each asks to have its connection closed behind the answer."""
    return (
        *_with_photos(photo),
        *_with_photos_in_json(photo),
        *(_request(line, body, f"Content-Type: application/{kind}") for line, body, kind in _BODIES),
        *(_head(line, f"X-Face-Device: {MARKER.decode()}") for line in _ASKED),
    )


_BODIES = (
    ("POST /v1/identify/embedding", b'{"embedding": [0.1, 0.2]}', "json"),
    ("POST /v1/galleries", b'{"gallery": "second", "note": "%b"}' % MARKER, "json"),
    ("PATCH /v1/faces/1", b'{"remark": "%b", "metadata": {"a": [1, 2.5, null]}}' % MARKER, "json"),
    ("PATCH /v1/people/nobody", b'{"remark": "%b"}' % MARKER, "json"),
    ("POST /v1/import", b'{"format": "face-gallery"}\n{"face_id": 1}\n', "x-ndjson"),
    ("POST /v1/identify/embedding?fpir=0.01&group=face", b'{"embedding": [%b]}' % b",".join([b"0.01"] * 512), "json"),
    ("PATCH /v1/people/nobody?gallery=second", b'{"remark": "%b", "merge": true}' % MARKER, "json"),
    ("PATCH /v1/faces/1", b'{"metadata": null, "expires_at": "2030-01-31T18:00:00.5+08:00"}', "json"),
    ("POST /api/v1/recognition/subjects", b'{"subject": "%b"}' % MARKER, "json"),
    ("PUT /api/v1/recognition/subjects/nobody", b'{"subject": "%b"}' % MARKER, "json"),
    ("POST /api/v1/recognition/faces/delete", b'["00000000-0000-0000-0000-000000000001", "%b"]' % MARKER, "json"),
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
    *(
        f"GET /v1/faces?remark={MARKER.decode()}&cursor=1-2&include=picture&gallery=default",
        "GET /v1/people?part=%C3%A9&cursor=3-4",
        "GET /v1/events?caller=key:ops&cursor=12&limit=3",
        "DELETE /v1/faces?gallery=second&confirm=second",
        "DELETE /v1/faces?device=door-1",
        "GET /v1/export?gallery=second",
        "DELETE /v1/galleries/second",
        f"GET /v1/faces/12/picture.jpg?signature={'0123456789abcdef' * 4}",
        f"GET /v1/faces/12/picture.jpg?signature={MARKER.decode()}&signature=%FF",
    ),
    *(
        "GET /api/v1/recognition/faces?page=0&size=20&subject=x",
        "DELETE /api/v1/recognition/faces?subject=nobody",
        "DELETE /api/v1/recognition/faces/00000000-0000-0000-0000-000000000007",
        "GET /api/v1/recognition/faces/00000000-0000-0000-0000-000000000007/img",
        f"GET /api/v1/static/{MARKER.decode()}/images/00000000-0000-0000-0000-000000000007",
        "GET /api/v1/recognition/subjects",
        "DELETE /api/v1/recognition/subjects/nobody",
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
        _request("POST /api/v1/recognition/recognize?limit=1", _form(b"file", photo) + _END, _MULTIPART),
        _request("POST /v1/detect", photo, "Content-Type: image/jpeg"),
        _head("POST /recognition_face", _MULTIPART, "Transfer-Encoding: chunked") + chunks,
        _request("POST /recognition_face", form + _END, _MULTIPART, "Expect: 100-continue"),
    ]


def _with_photos_in_json(photo: bytes) -> list[bytes]:
    """As /v1 and CompreFace's clients may send them."""
    encoded, number = b64encode(photo), "00000000-0000-0000-0000-000000000007"
    kept = b'"remark": "%b", "metadata": {"badge": 7}, "expires_at": "2030-01-31T18:00:00Z"' % MARKER
    one, two = b'{"%b": "%b"}', b'{"%b": "%b", "%b": "%b"}'
    bodies = {
        "/v1/detect": one % (b"image", encoded),
        "/v1/verify?threshold=0.5": two % (b"image", encoded, b"other_image", encoded),
        "/v1/faces?faces=all&quality=off": b'{"image": "%b", %b}' % (encoded, kept),
        f"/api/v1/recognition/faces?subject={MARKER.decode()}": one % (b"file", encoded),
        "/api/v1/recognition/recognize?limit=0&det_prob_threshold=0.8&prediction_count=-1": one % (b"file", encoded),
        f"/api/v1/recognition/faces/{number}/verify": one % (b"file", encoded),
        "/api/v1/detection/detect?face_plugins=landmarks,age&status=true": one % (b"file", encoded),
        "/api/v1/verification/verify": two % (b"source_image", encoded, b"target_image", encoded),
    }
    return [_request(f"POST {path}", body, "Content-Type: application/json") for path, body in bodies.items()]


_MULTIPART = f"Content-Type: multipart/form-data; boundary={_BOUNDARY}"
_END = f"--{_BOUNDARY}--\r\n".encode()


def _form(name: bytes, content: bytes) -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b.jpg"\r\n\r\n'
    return head % (_BOUNDARY.encode(), name, MARKER) + content + b"\r\n"


def _request(line: str, body: bytes, *headers: str) -> bytes:
    return _head(line, f"Content-Length: {len(body)}", *headers) + body


def _head(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: door", "Connection: close", *headers, "", ""]).encode()
