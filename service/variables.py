"""FACE_* variables as people write them: how a field's text is parsed, shown, explained and refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args, get_origin

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo

from service.errors import InvalidSettings

Networks = tuple[IPv4Network | IPv6Network, ...]

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_USUAL_PORTS = {("http", "80"), ("https", "443")}


def _origin(text: str) -> str:
    """As browsers send it: in small letters, without the port that its scheme has anyway. `*` stays."""
    found = _ORIGIN.fullmatch(text.lower())
    if text != "*" and (found is None or int(found[3] or 1) not in range(1, 65536)):
        raise ValueError("it must be an origin")
    if found is None or found[3] is None or (found[1], found[3]) in _USUAL_PORTS:
        return text if found is None else f"{found[1]}://{found[2]}"
    return found[0]


Origins = tuple[Annotated[str, AfterValidator(_origin)], ...]
"""Of web pages: scheme, host and port."""

RemarkCharset = Literal[
    "utf-8", "gbk", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "iso-8859-1", "windows-1251", "windows-1252"
]

Threshold = Literal["auto"] | Annotated[float, Field(ge=-1, le=1)]
"""A score, or the word for one that is chosen by measurement."""


class Allowed(NamedTuple):
    """In a field's annotation: says in words what its pattern accepts."""

    words: str


def variable(field_name: str) -> str:
    """The environment variable of a field: max_bytes → FACE_MAX_BYTES."""
    return f"FACE_{field_name.upper()}"


def parse_all(
    environ: Mapping[str, str], fields: Mapping[str, FieldInfo], *, renamed: Mapping[str, str]
) -> dict[str, object]:
    """What the FACE_* variables say, by the fields' names; one that is empty says nothing.

    `renamed` has the names of today by older ones. Raises InvalidSettings for a text that is of another type than its
    field, and for a name that doesn't exist (any more).
    """
    known = {variable(each): each for each in fields}
    values: dict[str, object] = {}
    for name, text in environ.items():
        if not name.startswith("FACE_"):
            continue
        if name in renamed:
            raise InvalidSettings(f"{name} is called {renamed[name]} now; rename it.")
        if name not in known:
            raise InvalidSettings(f"{name} is not a setting; `python -m service --help` lists them.")
        if text != "":
            values[known[name]] = parse(known[name], fields[known[name]], text=text)
    return values


def parse(name: str, field: FieldInfo, *, text: str) -> object:
    """Turn the variable's text into the type of the field `name`, whatever its range; raises InvalidSettings."""
    try:
        return _kind(field).parse(text)
    except (ValueError, KeyError):
        raise wrong_type(name, field, text) from None


def refusal(error: ValidationError, fields: Mapping[str, FieldInfo]) -> InvalidSettings | TypeError:
    """What is raised for the first value that pydantic refuses; TypeError where there is no such field."""
    errors = error.errors()
    first = errors[0]
    name = str(first["loc"][0])
    if name not in fields:
        return TypeError(f"Settings has no field {name}, and all of them are passed by name.")
    of_another_type = any(each["type"] in _WRONG_TYPES for each in errors if each["loc"][0] == name)
    if get_origin(fields[name].annotation) is Literal:
        of_another_type = type(first["input"]) not in map(type, get_args(fields[name].annotation))
    refuse = wrong_type if of_another_type else out_of_range
    return refuse(name, fields[name], first["input"])


def wrong_type(name: str, field: FieldInfo, value: object) -> InvalidSettings:
    """FACE_PORT='x' is not a whole number."""
    return InvalidSettings(f"{_said(name, field, value)} is not {_kind(field).name}.")


def out_of_range(name: str, field: FieldInfo, value: object) -> InvalidSettings:
    """FACE_PORT='65536' is out of range; allowed: 0 to 65535."""
    return InvalidSettings(f"{_said(name, field, value)} is out of range; allowed: {allowed(field)}.")


def allowed(field: FieldInfo) -> str:
    """What a field accepts, from its type and limits; empty where any value of its type will do."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{name}`" for name in get_args(field.annotation))
    if field.annotation is bool:
        return "`yes`, `no`"
    low = next((each.ge for each in field.metadata if hasattr(each, "ge")), None)
    high = next((each.le for each in field.metadata if hasattr(each, "le")), None)
    if low is not None:
        return f"{low} or more" if high is None else f"{low} to {high}"
    return next((each.words for each in field.metadata if isinstance(each, Allowed)), "")


def as_text(value: object) -> str:
    """A value as one would write it into its variable; None is an empty one."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


class _Kind(NamedTuple):
    """What a field's type is called, and how a variable's text becomes one."""

    name: str
    parse: Callable[[str], object]


def _networks(text: str) -> Networks:
    return tuple(ip_network(each.strip()) for each in text.split(","))


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(each.strip()) for each in text.split(","))


_WRONG_TYPES = {
    *("int_type", "float_type", "bool_type", "string_type", "tuple_type", "is_instance_of"),
    "value_error",  # of what isn't an origin
}
"""pydantic's names of the errors after which a list of allowed values would not help."""
_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_TEXT = _Kind("text", str)
_PATH = _Kind("a path", lambda text: Path(text).expanduser())
_KINDS: dict[object, _Kind] = {
    int: _Kind("a whole number", int),
    float: _Kind("a number", float),
    bool: _Kind("yes or no", lambda text: _BOOLEANS[text.lower()]),
    Threshold: _Kind("`auto` or a number", lambda text: text if text == "auto" else float(text)),
    Path: _PATH,
    Path | None: _PATH,
    Origins: _Kind("`*` or a list of origins (https://desk.example, without a path) with commas between", _origins),
    Networks: _Kind("a list of IP addresses and networks (10.0.0.0/8, not 10.0.0.1/8) with commas between", _networks),
}
"""By a field's type; all others are text."""


def _kind(field: FieldInfo) -> _Kind:
    if get_origin(field.annotation) is Literal:
        return _KINDS.get(type(get_args(field.annotation)[0]), _TEXT)
    return _KINDS.get(field.annotation, _TEXT)


def _said(name: str, field: FieldInfo, value: object) -> str:
    """The variable with its value, unless that is a secret."""
    return f"{variable(name)}={as_text(value)!r}" if field.repr else variable(name)
