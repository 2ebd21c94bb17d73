"""Faces in words: a line of a list, or all that is known of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

HEADING = f"{'face_id':>16}  {'registered':<20}  remark"


def line_of(face: Mapping[str, Any]) -> str:
    """A face under HEADING; the remark is last, for it may be long."""
    registered = str(face["registered_at"])[:19].replace("T", " ")
    until = face.get("expires_at")
    remark = shown(str(face["remark"])) + (f"  (until {str(until)[:19].replace('T', ' ')})" if until else "")
    return f"{face['face_id']:>16}  {registered:<20}  {remark}"


def lines_of(face: Mapping[str, Any]) -> list[str]:
    """All about a face but its picture, of which the size is told."""
    told = {name: value for name, value in face.items() if name != "picture" and value is not None}
    lines = [f"{name:<16} {_value(value)}" for name, value in told.items()]
    return [*lines, f"{'picture':<16} JPEG of about {len(face.get('picture') or '') * 3 // 4:,} bytes"]


def shown(text: str) -> str:
    """On one line, and harmless for a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _value(value: object) -> str:
    if isinstance(value, str):
        return shown(value)
    return shown(json.dumps(value, ensure_ascii=False))
