"""Whose address the log shows: nobody can hide behind a made-up one, and no proxy hides whom it speaks for."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from service.http.client_address import client_address

TRUSTED = tuple(ip_network(each) for each in ("10.0.0.0/8", "127.0.0.1", "fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", " 198.51.100.7 ,10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, ' INFO forged\n, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        (None, ["198.51.100.7"], "?"),
        ("", [], "?"),
    ],
)
def test_the_nearest_that_is_no_trusted_proxy(peer: str | None, forwarded_for: list[str], client: str) -> None:
    assert client_address(peer=peer, forwarded_for=forwarded_for, trusted=TRUSTED) == client


def test_nobody_is_believed_by_default() -> None:
    assert client_address(peer="127.0.0.1", forwarded_for=["198.51.100.7"], trusted=()) == "127.0.0.1"
