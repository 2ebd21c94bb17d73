"""What a request's query may say: whole numbers in a range, and words out of a few."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import unquote_to_bytes

from aiohttp import web

from service.errors import InvalidRequest

_LEAST_LETTERS = 4
"""A shorter name is one edit away from too many others."""
_MAX_DIGITS = 20
"""More than any number here has; longer texts aren't turned into one, which takes time for millions of digits."""

_MAX_NAME = 32

Default = TypeVar("Default", int, None)


def require_utf8(request: web.Request) -> None:
    """Raise InvalidRequest where the query isn't UTF-8: a remark would be stored garbled."""
    try:
        unquote_to_bytes(request.rel_url.raw_query_string).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            "The query is not UTF-8; percent-encode the UTF-8 bytes of its values, or have the service's operator set "
            "FACE_REMARK_CHARSET."
        ) from None


def refuse_misspelled(request: web.Request, names: tuple[str, ...]) -> None:
    """Raise InvalidRequest where a parameter is nearly one of those names: whoever sent it believes that it counts.

    That is another case, a hyphen or no underscore, or one letter more, less or other. Unlike names are passed over.
    """
    for sent in request.query:
        if sent not in names and len(sent) <= _MAX_NAME:
            for name in names:
                if _is_nearly(_letters(sent), _letters(name)):
                    raise InvalidRequest(f"A parameter is called nearly `{name}`; write it exactly so.")


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


def _letters(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _is_nearly(sent: str, name: str) -> bool:
    """Whether one edit at most leads from one to the other."""
    if sent == name:
        return True
    if min(len(sent), len(name)) < _LEAST_LETTERS or abs(len(sent) - len(name)) > 1:
        return False
    shorter, longer = sorted((sent, name), key=len)
    at = next((i for i, letter in enumerate(shorter) if letter != longer[i]), len(shorter))
    return shorter[at:] == longer[at + 1 :] or shorter[at + 1 :] == longer[at + 1 :]
