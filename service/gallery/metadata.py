"""What a client may keep beside a face: a small JSON object, which stores and readers of JSON give back unchanged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

MAX_METADATA_BYTES = 4096
"""Of its shortest JSON text, in UTF-8."""
MAX_METADATA_KEYS = 64
"""In the object and in all that are within it, together."""
MAX_METADATA_DEPTH = 4
"""Objects and arrays within each other, the outermost counted."""

_MAX_WHOLE_NUMBER = 2**53 - 1


def usable_metadata(value: object) -> Mapping[str, Any]:
    """The value, if it can be kept. Raises ValueError, whose sentence says why not."""
    if not isinstance(value, dict):
        raise ValueError("it must be a JSON object")
    keys = 0
    for depth, each in _parts(value, 1):
        if depth > MAX_METADATA_DEPTH:
            raise ValueError(f"its objects and arrays may be {MAX_METADATA_DEPTH} deep at most")
        if isinstance(each, dict):
            keys += len(each)
        elif isinstance(each, float) and not math.isfinite(each):
            raise ValueError("its numbers must be finite")
        elif isinstance(each, int) and abs(each) > _MAX_WHOLE_NUMBER:
            raise ValueError(f"its whole numbers may not pass {_MAX_WHOLE_NUMBER}, which not every reader keeps exact")
    if keys > MAX_METADATA_KEYS:
        raise ValueError(f"it may have {MAX_METADATA_KEYS} keys at most")
    try:
        length = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is not a character") from None
    if length > MAX_METADATA_BYTES:
        raise ValueError(f"it may have {MAX_METADATA_BYTES} bytes of JSON at most")
    return value


def parsed_metadata(text: str) -> Mapping[str, Any]:
    """The metadata that a JSON text is. Raises ValueError, whose sentence says why it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # also of a number of thousands of digits
        raise ValueError("it must be a JSON object") from None
    return usable_metadata(value)


def _parts(value: object, depth: int) -> Iterator[tuple[int, object]]:
    """Every value within, with the depth of the innermost object or array; not far below what is too deep."""
    yield depth if isinstance(value, dict | list) else depth - 1, value
    if depth > MAX_METADATA_DEPTH:
        return
    if isinstance(value, dict):
        for each in value.values():
            yield from _parts(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _parts(each, depth + 1)
