"""A stored face as Qdrant keeps it: the point's id is the face_id, everything else but the embedding is its payload."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.stores.listing import Stamp, key_of
from service.stores.people import person_fields
from service.stores.store import Added
from service.values import DEFAULT_GALLERY, Box, FaceChanges, StoredFace

REMARK = "remark"
"""The field that tells people apart."""

GALLERY = "gallery"
"""The field that keeps galleries apart: Qdrant's tenant."""

_REGISTRATION, _BOX = (GALLERY, REMARK, "sha256"), "box"

IDENTITY = (*_REGISTRATION, _BOX)
"""The fields in which a face that is added again agrees with the one that is there; the boxes about, by SAME_PLACE."""

SAME_PLACE = 0.5
"""Of two boxes of a photo, by how much they lie over each other where both are of one face: the share of what both
cover that each covers. Other settings of the detector move a box by a few hundredths of its side; two faces of a photo
hardly touch."""

DEVICE_ID = "device_id"
"""The field of the device that registered the face, None where none did."""

KEYWORDS = (REMARK, "sha256", DEVICE_ID)
"""The fields that are indexed for equality."""

SEEN_AT = "seen_at"
"""When the face's person was recognised or registered last, where FACE_RETENTION_DAYS asks for that; it isn't moved."""

REGISTERED_AT, EXPIRES_AT = "registered_at", "expires_at"
"""The fields that are indexed as times; lists are ordered by the first."""

CHANGE = "change"
"""A number that was drawn when the face was changed last, where it was: by it a move to another collection sees what
was changed while it ran."""

STAMPED = (REGISTERED_AT, CHANGE)
"""The fields that `to_stamp` needs."""

# Named points read better in Qdrant's dashboard than five bare pairs.
_LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


def to_payload(face: StoredFace) -> dict[str, Any]:
    """The payload in the order in which people want to read it.

    Raises ValueError for a remark that is not Unicode text (a lone surrogate), which no store can keep.
    """
    return {
        REMARK: encodable(face.remark),
        GALLERY: face.gallery,
        REGISTERED_AT: to_text(face.registered_at),
        DEVICE_ID: face.device_id,
        "metadata": None if face.metadata is None else dict(face.metadata),
        EXPIRES_AT: None if face.expires_at is None else to_text(face.expires_at),
        "detection_score": face.detection_score,
        _BOX: face.box._asdict(),
        "landmarks": {name: list(point) for name, point in zip(_LANDMARKS, face.landmarks, strict=True)},
        "sha256": face.sha256,
        **person_fields(face.remark, gallery=face.gallery),
        **({CHANGE: face.change} if face.change else {}),
        "picture": face.picture,  # last: it fills pages
    }


def to_face(face_id: int, payload: Mapping[str, Any]) -> StoredFace:
    """The face that `to_payload` was given."""
    return StoredFace(
        face_id=face_id,
        remark=payload["remark"],
        picture=payload["picture"],
        box=Box(**payload[_BOX]),
        landmarks=tuple((x, y) for x, y in (payload["landmarks"][name] for name in _LANDMARKS)),
        detection_score=payload["detection_score"],
        sha256=payload["sha256"],
        registered_at=to_time(payload),
        device_id=payload[DEVICE_ID],
        gallery=payload.get(GALLERY, DEFAULT_GALLERY),
        metadata=payload.get("metadata"),
        expires_at=datetime.fromisoformat(payload[EXPIRES_AT]) if payload.get(EXPIRES_AT) else None,
        change=payload.get(CHANGE) or 0,
    )


def to_changes(changes: FaceChanges, *, gallery: str) -> dict[str, Any]:
    """The fields of a payload that differ after a change; raises what to_payload raises."""
    return {
        REMARK: encodable(changes.remark),
        "metadata": None if changes.metadata is None else dict(changes.metadata),
        EXPIRES_AT: None if changes.expires_at is None else to_text(changes.expires_at),
        **person_fields(changes.remark, gallery=gallery),
        CHANGE: _drawn() if changes.change is None else changes.change,
    }


def to_renaming(remark: str, *, gallery: str) -> dict[str, Any]:
    """The fields of a payload that differ under another remark; raises what to_payload raises."""
    return {REMARK: encodable(remark), **person_fields(remark, gallery=gallery), CHANGE: _drawn()}


def to_stamp(face_id: int, payload: Mapping[str, Any]) -> Stamp:
    """What tells whether a face has changed; it needs STAMPED of the payload."""
    return *key_of(face_id, to_time(payload)), payload.get(CHANGE) or 0


def to_time(payload: Mapping[str, Any]) -> datetime:
    """When a face was registered."""
    return datetime.fromisoformat(payload[REGISTERED_AT])


def outcome(payload: Mapping[str, Any], owner: Mapping[str, Any] | None) -> Added:
    """What becomes of a face whose face_id has this owner, None where it has none."""
    if owner is None:
        return Added.NEW
    owner = {GALLERY: DEFAULT_GALLERY, **owner}  # a service of an older version, which still runs, may have added it
    same = all(owner[key] == payload[key] for key in _REGISTRATION)
    # Of a group photo another face may have been registered under the remark: the largest, then the one in front.
    return Added.KNOWN if same and _is_same_place(owner[_BOX], payload[_BOX]) else Added.TAKEN


def _is_same_place(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    both = max(0.0, min(one["right"], other["right"]) - max(one["left"], other["left"])) * max(
        0.0, min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    )
    areas = [(each["right"] - each["left"]) * (each["bottom"] - each["top"]) for each in (one, other)]
    return one == other or both >= SAME_PLACE * (sum(areas) - both) > 0


def to_text(time: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds, so that the texts sort as the times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _drawn() -> int:
    """A number that no other change has, small enough for everybody who reads JSON."""
    return 1 + secrets.randbelow(2**53 - 1)


def encodable(remark: str) -> str:
    """The remark. Raises ValueError for one that is not Unicode text (a lone surrogate)."""
    try:
        remark.encode()
    except UnicodeEncodeError:
        raise ValueError("The remark holds half of a surrogate pair, which is not a character.") from None
    return remark
