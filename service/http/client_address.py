"""Whose request it is: the client's address, also behind proxies that are trusted to name it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from service.variables import Networks

UNKNOWN = "?"
"""The address of a client that has none, on a Unix socket say."""


def client_address(*, peer: str | None, forwarded_for: Sequence[str], trusted: Networks) -> str:
    """The nearest address that isn't a trusted proxy's, as text.

    `peer` is the other end of the connection, `forwarded_for` the values of X-Forwarded-For. Each proxy appends the
    address that it was asked from, so the list is read from its end, and only as far as trusted proxies wrote it:
    what stands before that, anybody may have made up. Where even the first address is trusted, it is the client's.
    """
    address = parse(peer or "")
    if address is None:
        return UNKNOWN
    for text in reversed(",".join(forwarded_for).split(",")):
        if not any(address in network for network in trusted):
            break
        named = parse(text.strip())
        if named is None:
            break
        address = named
    return str(address)


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """An address, None where the text is none; IPv4 that comes through an IPv6 socket is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
