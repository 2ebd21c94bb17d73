"""Answers as the API's document shows them."""

from __future__ import annotations

from typing import Any

_BOX = {"left": 81.2, "top": 70.9, "right": 158.4, "bottom": 172.3}
_LANDMARKS = [[102.1, 109.8], [138.0, 110.3], [120.4, 131.0], [104.9, 148.7], [136.2, 149.1]]
_QUALITY = {
    "sharpness": 0.21,
    "noise": 2.4,
    "brightness": 131.6,
    "contrast": 52.3,
    "clipped_dark": 0.0,
    "clipped_bright": 0.01,
    "side": 77.2,
    "yaw": 0.02,
    "pitch": 0.55,
    "roll_degrees": 0.8,
    "bystanders": 0,
    "problem": None,
}
_SEEN: dict[str, Any] = {"box": _BOX, "landmarks": _LANDMARKS, "detection_score": 0.9997, "quality": _QUALITY}
_SIZE = {"width": 250, "height": 250, "rotation": 0}
_MATCHES = [{"remark": "Zoë", "face_id": 1001, "score": 0.7134, "similarity": 0.8821, "matched": True}]
_KNOWN = {"face_id": 1001, "remark": "Zoë", "gallery": "default", "box": _BOX, "landmarks": _LANDMARKS}
_BESIDE = {
    "registered_at": "2026-11-26T10:00:00.123456Z",
    "metadata": {"badge": 4711, "company": "Example Ltd."},
    "expires_at": "2026-11-27T18:00:00Z",
}

PHOTO_FACES = {**_SIZE, "faces": [_SEEN]}
PHOTO_EMBEDDINGS = {"model": "vggface2", **_SIZE, "faces": [{**_SEEN, "embedding": [0.0625, -0.0125]}]}
"""The embedding is cut short."""
IDENTIFICATION = {
    "model": "vggface2",
    "threshold": 0.485,
    "gallery": "default",
    "faces": [{**_SEEN, "matched": True, "matches": _MATCHES}],
}
EMBEDDING_IDENTIFICATION = {
    "model": "vggface2",
    "threshold": 0.485,
    "gallery": "default",
    "matched": True,
    "matches": _MATCHES,
}
VERIFICATION = {"score": 0.8821, "similarity": 0.8821, "threshold": 0.759, "same": True}
KNOWN_FACE = {**_KNOWN, "detection_score": 0.9997, **_BESIDE}
PAGE = {"faces": [KNOWN_FACE], "next_cursor": "1795687200123456-1001"}
_REGISTERED = {**_KNOWN, "detection_score": 0.9997, "new": True, "quality": _QUALITY, "duplicate_of": None, **_BESIDE}
REGISTRATION = {"faces": [_REGISTERED]}
_REFUSED = {
    "type": "/docs#face_not_found",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "No face was found in the image; send a photo with the face in full view.",
    "code": "face_not_found",
    "request_id": "88650fc3ee764c6b",
}
BATCH = {"outcomes": [{"status": 201, **REGISTRATION}, {"status": 422, "problem": _REFUSED}]}
MODEL = {
    "model": "vggface2",
    "digest": "bb5be6a565fae1490000000000000000000000000000000000000000000000ab",
    "preprocessing": 1,
    "dimension": 512,
    "verification_threshold": 0.759,
    "version": "1.0.0",
}
STATS = {"gallery": "default", "faces": 1400, "galleries": 2}
_PERSON = {"remark": "Zoë", "faces": 3, "face_id": 1001}
PERSON = {**_PERSON, "gallery": "default"}
PEOPLE = {"gallery": "default", "people": [_PERSON], "next_cursor": "34481432281088000-24819231750264063"}
REMOVAL = {"removed": 3}
FACES_REMOVAL = {"gallery": "default", "removed": 1200}
_GALLERY = {"gallery": "visitors", "created_at": "2026-11-26T09:00:00Z"}
GALLERY = {**_GALLERY, "faces": 12}
GALLERIES = {"galleries": [{"gallery": "default", "created_at": None}, _GALLERY]}
STATUS = {
    "version": "1.0.0",
    "uptime_s": 86400,
    "model": "vggface2",
    "precision": "auto",
    "gallery": "default",
    "faces": 1400,
    "threshold": 0.485,
    "measured": True,
    "fpir": 0.01,
    "photos_waiting": 0,
    "crops_waiting": 0,
    "max_queue": 128,
    "disk": {"free_bytes": 81604378624, "total_bytes": 256060514304},
    "stages": [{"stage": "total", "requests": 500, "median_ms": 41.2, "p95_ms": 66.0}],
    "warnings": [{"code": "no_threshold", "detail": "Nobody is unknown: …"}],
}
DEVICES = {
    "devices": [
        {
            "name": "door-1",
            "client": "192.0.2.7",
            "last_at": "2026-11-26T10:00:00.123456Z",
            "requests": 120,
            "refusals": [{"reason": "face_not_found", "count": 3}],
        }
    ]
}
EVENTS = {
    "recording": True,
    "events": [
        {
            "id": 4711,
            "at": "2026-11-26T10:00:00.123456Z",
            "request_id": "88650fc3ee764c6b",
            "caller": "door-7",
            "client": "192.0.2.7",
            "operation": "recognise",
            "route": "POST /recognition_face",
            "gallery": "default",
            "outcome": "ok",
            "subjects": [{"remark": "Zoë", "face_id": 1001, "score": 0.7134, "erased": False}],
        }
    ],
    "next_cursor": "4711",
}
