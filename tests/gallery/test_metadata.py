"""What may be kept beside a face is small, and comes back as it went in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.gallery.metadata import parsed_metadata, usable_metadata


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"": None},
        {"name": "张三", "badge": 4711, "share": 0.5, "regular": True, "until": None, "doors": ["north", 2]},
        {"a": {"b": {"c": {}}}},
        {"a": [[[1]]]},
        {str(number): number for number in range(64)},
        {"text": "x" * (4096 - len('{"text":""}'))},
        {"largest": 2**53 - 1, "least": -(2**53) + 1, "tiny": 5e-324},
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_small_object_is_kept_as_it_is(value: dict[str, Any]) -> None:
    """Up to each of the limits."""
    assert usable_metadata(value) == value
    assert parsed_metadata(json.dumps(value, indent=2)) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ("{}", "must be a JSON object"),
        ({"a": {"b": {"c": {"d": {}}}}}, "4 deep"),
        ({"a": [[[[]]]]}, "4 deep"),
        ({str(number): number for number in range(65)}, "64 keys"),
        ({"a": [{str(number): 1 for number in range(32)}, {str(number): 1 for number in range(32)}]}, "64 keys"),
        ({"text": "x" * (4097 - len('{"text":""}'))}, "4096 bytes"),
        ({"text": "张" * 1400}, "4096 bytes"),
        ({"a": float("nan")}, "finite"),
        ({"a": [float("inf")]}, "finite"),
        ({"a": 2**53}, "may not pass"),
        ({"a": -(2**64)}, "may not pass"),
        ({"a": "\ud800"}, "surrogate"),
        ({"\udfff": 1}, "surrogate"),
    ],
)
def test_what_cannot_be_kept_is_refused(value: object, why: str) -> None:
    """With the reason: too large, too deep, or not the same in every reader of JSON."""
    with pytest.raises(ValueError, match=why):
        usable_metadata(value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "1", "[]", '{"a": NaN}', '{"a": 1e999}', "[" * 5000, '{"a":' * 5000, f'{{"a": {"9" * 5000}}}'],
    ids=lambda text: text[:12],
)
def test_a_text_that_is_no_such_object_is_refused(text: str) -> None:
    """However long or deep it is."""
    with pytest.raises(ValueError, match=r"^(it must be a JSON object|its numbers must be finite)$"):
        parsed_metadata(text)
