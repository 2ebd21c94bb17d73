"""How many connections there may be, in all and from an address, and which ones make room."""

from __future__ import annotations

import logging
from ipaddress import ip_network

import pytest

from service.http.connection_limits import ROOMS_A_SECOND, ROOMS_IN_A_ROW, Connection, ConnectionLimits
from tests.support.clock import Clock


class Fake(Connection):
    """A connection that notes that it was dropped."""

    def __init__(self, *, is_idle: bool) -> None:
        self._is_idle = is_idle
        self.dropped = False

    @property
    def is_idle(self) -> bool:
        return self._is_idle

    def drop(self) -> None:
        self.dropped = True


def limits(at_once: int = 10, by_address: int = 5, trusted: str = "10.0.0.0/8") -> ConnectionLimits:
    return ConnectionLimits(at_once=at_once, by_address=by_address, trusted=(ip_network(trusted),))


def connect(limits: ConnectionLimits, peer: str, *, is_idle: bool = False) -> Fake | None:
    """A connection from that address, None where it isn't admitted."""
    if not limits.admit(peer):
        return None
    connection = Fake(is_idle=is_idle)
    limits.opened(peer, connection)
    return connection


def test_an_address_has_so_many() -> None:
    """And others have theirs."""
    ours = limits()
    assert all(connect(ours, "192.0.2.1") for _ in range(5))
    assert connect(ours, "192.0.2.1") is None
    assert connect(ours, "192.0.2.2")
    assert ours.closed_by_reason["address"] == 1


def test_there_are_so_many_in_all() -> None:
    ours = limits()
    assert all(connect(ours, f"192.0.2.{number}") for number in range(10))
    assert connect(ours, "192.0.2.77") is None
    assert ours.closed_by_reason["all"] == 1


def test_who_leaves_makes_room() -> None:
    ours = limits(by_address=1)
    connection = connect(ours, "192.0.2.1")
    assert connection
    assert connect(ours, "192.0.2.1") is None
    ours.closed("192.0.2.1", connection)
    ours.leave("192.0.2.1")
    assert connect(ours, "192.0.2.1")
    assert ours.count == 1


def test_trusted_proxies_speak_for_many() -> None:
    ours = limits()
    assert all(connect(ours, "10.1.2.3") for _ in range(10))
    assert connect(ours, "10.1.2.3") is None


def test_an_idle_connection_makes_room_for_another_of_its_address() -> None:
    """The oldest one; whoever is being answered stays."""
    ours = limits()
    [working, oldest, *_] = [connect(ours, "192.0.2.1", is_idle=number > 0) for number in range(5)]
    assert connect(ours, "192.0.2.1")
    assert working
    assert oldest
    assert (working.dropped, oldest.dropped) == (False, True)
    assert ours.closed_by_reason["idle"] == 1


def test_an_idle_connection_of_who_has_most_makes_room_for_anybody() -> None:
    ours = limits()
    many = [connect(ours, "192.0.2.1", is_idle=True) for _ in range(5)]
    few = [connect(ours, f"192.0.2.{number}", is_idle=True) for number in range(2, 7)]
    assert connect(ours, "192.0.2.77")
    assert [each.dropped for each in many if each] == [True, False, False, False, False]
    assert not any(each.dropped for each in few if each)


def test_all_addresses_of_an_ipv6_client_count_as_one() -> None:
    """It may choose the last 64 bits; IPv4 that comes through IPv6 is IPv4."""
    ours = limits()
    assert all(connect(ours, f"2001:db8:1:2::{number}") for number in range(5))
    assert connect(ours, "2001:db8:1:2:ffff::1") is None
    assert connect(ours, "2001:db8:1:3::1")
    assert connect(ours, "::ffff:10.0.0.1")
    assert "" in ours._sockets


def test_that_connections_are_refused_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = Clock()
    ours = ConnectionLimits(at_once=1, by_address=1, trusted=(), clock=clock)
    connect(ours, "192.0.2.1")
    for _ in range(1000):
        connect(ours, "192.0.2.1")
    assert len(caplog.records) == 1
    assert "FACE_MAX_ADDRESS_CONNECTIONS" in caplog.text
    clock.now += 61
    ours.out_of_files()
    assert len(caplog.records) == 2
    assert "LimitNOFILE" in caplog.text


def test_nothing_is_left_of_addresses_that_have_gone() -> None:
    """Else they would fill the memory."""
    ours = limits()
    for number in range(100):
        connection = connect(ours, f"192.0.2.{number}")
        assert connection
        ours.closed(f"192.0.2.{number}", connection)
        ours.leave(f"192.0.2.{number}")
    assert (len(ours._sockets), len(ours._open), len(ours._excused)) == (0, 0, 0)


def test_who_opens_connections_all_the_time_has_room_made_only_so_often() -> None:
    """What costs much is done so often a second; others are served, and so is that address a moment later."""
    clock = Clock()
    ours = ConnectionLimits(at_once=10_000, by_address=5, trusted=(), clock=clock)
    opened = [connect(ours, "192.0.2.1", is_idle=True) for _ in range(ROOMS_IN_A_ROW + 50)]
    assert sum(each is not None for each in opened) == ROOMS_IN_A_ROW + 5
    assert ours.closed_by_reason["address"] == 45
    assert connect(ours, "192.0.2.2", is_idle=True)
    clock.now += 0.5
    assert sum(connect(ours, "192.0.2.1", is_idle=True) is not None for _ in range(99)) == ROOMS_A_SECOND // 2


def test_where_http_begins_the_connection_is_known_instead_of_the_socket() -> None:
    """A socket that has made room by then is none to make room again."""
    ours = limits(by_address=1)
    for made_room in (False, True):
        assert ours.admit("192.0.2.1")
        ours.arrived("192.0.2.1", 7, arriving := Fake(is_idle=True))
        if made_room:
            assert ours.admit("192.0.2.1")
            ours.leave("192.0.2.1", 8)
        ours.opened("192.0.2.1", connection := Fake(is_idle=False), 7)
        assert not ours.admit("192.0.2.1")
        assert arriving.dropped is made_room
        ours.closed("192.0.2.1", connection)
        ours.leave("192.0.2.1", 7)
        assert ours.count == 0
