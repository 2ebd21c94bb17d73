"""What a request's query may say: whole numbers in a range, and words out of a few."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import unquote_to_bytes

from aiohttp import web

from service.errors import InvalidRequest

_MAX_DIGITS = 20
"""More than any number here has; longer texts aren't turned into one, which takes time for millions of digits."""

Default = TypeVar("Default", int, None)


def require_utf8(request: web.Request) -> None:
    """Raise InvalidRequest where the query isn't UTF-8: a remark would be stored garbled."""
    try:
        unquote_to_bytes(request.rel_url.raw_query_string).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The query is not UTF-8; percent-encode the UTF-8 bytes of its values.") from None


def number(request: web.Request, name: str, default: Default, *, smallest: int, largest: int) -> int | Default:
    """A whole number from the query, `default` where there is none. Raises InvalidRequest for anything else."""
    text = request.query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and smallest <= (found := int(text)) <= largest:
        return found
    raise InvalidRequest(f"{name} must be a whole number from {smallest} to {largest}.")


def switch(request: web.Request, name: str, *, default: bool) -> bool:
    """`yes` or `no` from the query, `default` where there is none. Raises InvalidRequest for anything else."""
    return word(request, name, ("yes", "no"), "yes" if default else "no") == "yes"


def word(request: web.Request, name: str, words: tuple[str, ...], default: str) -> str:
    """One of some words from the query, `default` where there is none. Raises InvalidRequest for anything else."""
    found = request.query.get(name, default)
    if found != default and found not in words:
        raise InvalidRequest(f"{name} must be {' or '.join(words)}.")
    return found
