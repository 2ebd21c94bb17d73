"""Who does what is worth nothing as fast as possible waits for it; nobody else does, and nothing else."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest
from PIL import Image

from service.http import pacing
from service.http.connection_limits import Connection, ConnectionLimits
from service.http.pacing import (
    ANSWERS_A_SECOND,
    ANSWERS_IN_A_ROW,
    LONGEST_PAUSE_S,
    LOST_A_SECOND,
    LOST_IN_A_ROW,
    Pacing,
)
from tests.support.clock import Clock
from tests.support.device import Client, Device, form, jpeg

CROWD, DOOR = "192.0.2.1", "192.0.2.2"
FREE = 10


class Idle(Connection):
    """One on which nothing came."""

    @property
    def is_idle(self) -> bool:
        return True

    def drop(self) -> None:
        pass


class TestPacing:
    def test_answers_wait_the_longer_the_more_are_asked_for(self) -> None:
        """As if so many were given a second, whoever asks; the pause ends soon after the flood."""
        clock = Clock()
        ours = Pacing(clock)
        assert not any(ours.answered(CROWD) for _ in range(ANSWERS_IN_A_ROW))
        pauses = [ours.answered(CROWD) for _ in range(1000)]
        assert pauses[:3] == pytest.approx([number / ANSWERS_A_SECOND for number in (1, 2, 3)])
        assert pauses[-1] == LONGEST_PAUSE_S
        assert ours.answered(DOOR) == 0
        clock.now += 2 * LONGEST_PAUSE_S
        assert ours.answered(CROWD) == 0

    def test_what_was_asked_for_at_length_waits_longer(self) -> None:
        """A refused body of some megabytes costs as much as a hundred short requests."""
        ours = Pacing(Clock())
        assert ours.answered(CROWD, (ANSWERS_IN_A_ROW - 1) * pacing.BYTES_AN_ANSWER) == 0
        assert ours.answered(CROWD, 9 * pacing.BYTES_AN_ANSWER) == pytest.approx(10 / ANSWERS_A_SECOND)

    def test_little_is_not_held_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pause of less than some milliseconds would cost more than it saves."""
        monkeypatch.setattr(pacing, "BYTES_A_SECOND", 1000)
        monkeypatch.setattr(pacing, "BYTES_IN_A_ROW", 10)
        ours = Pacing(Clock())
        assert [ours.received(CROWD, each) for each in (10, 1, 9)] == [0, 0, pytest.approx(0.01)]


class TestConnections:
    """Through the limits that ask."""

    def test_who_comes_and_goes_is_turned_away(self) -> None:
        """For the while that it has to wait: one that was answered counts nothing, and others come in."""
        clock = Clock()
        ours = ConnectionLimits(at_once=10, by_address=5, trusted=(), clock=clock)

        def come_and_go(peer: str, *, answered: bool) -> bool:
            if not ours.admit(peer):
                return False
            ours.opened(peer, connection := Idle())
            ours.closed(peer, connection, answered=answered)
            ours.leave(peer)
            return True

        assert all(come_and_go(CROWD, answered=True) for _ in range(2 * LOST_IN_A_ROW))
        came = [come_and_go(CROWD, answered=False) for _ in range(2 * LOST_IN_A_ROW)]
        assert came.index(False) == LOST_IN_A_ROW + 1
        assert not any(came[LOST_IN_A_ROW + 1 :])
        assert ours.closed_by_reason["vain"] == came.count(False)
        assert come_and_go(DOOR, answered=False)
        clock.now += 1
        assert sum(come_and_go(CROWD, answered=False) for _ in range(1000)) in range(LOST_A_SECOND, LOST_A_SECOND + 2)

    def test_sockets_on_which_nothing_began_count(self) -> None:
        """A handshake of TLS that breaks off is one; that TLS ends a socket before it tells so counts nothing."""
        clock = Clock()
        ours = ConnectionLimits(at_once=10, by_address=5, trusted=(), clock=clock)
        for _ in range(2 * LOST_IN_A_ROW):
            assert ours.admit(DOOR)
            ours.opened(DOOR, connection := Idle())
            ours.leave(DOOR)
            ours.closed(DOOR, connection, answered=True)
        for _ in range(LOST_IN_A_ROW + 1):
            assert ours.admit(CROWD)
            ours.leave(CROWD)
        assert not ours.admit(CROWD)

    def test_only_who_is_not_alone_is_held_up(self) -> None:
        """An import may send as fast as it can, unless others want something, too."""
        ours = ConnectionLimits(at_once=10, by_address=5, trusted=(), clock=Clock())
        ours.opened(CROWD, Idle())
        assert ours.hold_s(CROWD, 10 * pacing.BYTES_IN_A_ROW) == 0
        ours.opened(DOOR, Idle())
        ours.hold_s(CROWD, pacing.BYTES_IN_A_ROW)
        assert ours.hold_s(CROWD, pacing.BYTES_A_SECOND // 10) == pytest.approx(0.1)
        assert ours.hold_s(DOOR, 1000) == 0
        ours.worth(CROWD, pacing.BYTES_IN_A_ROW)
        assert ours.hold_s(CROWD, 1000) == 0


@pytest.mark.asyncio(loop_scope="module")
class TestService:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch, service: Client) -> None:
        """Little is enough to have to wait, for the tests of this class."""
        del service
        number = count()
        monkeypatch.setattr(Pacing, "answered", lambda *_: 0.2 * (next(number) >= FREE))

    @pytest.mark.parametrize(
        "path", ["/nowhere", "/v1/nowhere", "/healthz", "/v1/faces?limit=x", "/delete_registration_face"]
    )
    async def test_answers_that_nobody_needs_often_wait(self, device: Device, path: str) -> None:
        """Refusals and what is open to everybody; the first ones come at once, and all have the same status."""
        took, answers = [], set()
        for _ in range(12):
            began = time.monotonic()
            async with device.http.get(path) as answer:
                answers.add(answer.status)
            took.append(time.monotonic() - began)
        assert (sorted(took)[5] < 0.1, min(took[10:]) >= 0.2, len(answers)) == (True, True, 1)

    async def test_what_is_no_request_waits_as_well(self, service: Client) -> None:
        began = time.monotonic()
        for _ in range(12):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b'"code": 1001' in await reader.read()
            writer.close()
        assert time.monotonic() - began >= 0.4

    async def test_what_is_done_for_somebody_never_waits(self, device: Device) -> None:
        """Also where it fails in the end: a door that sends what its camera sees meets no face for hours."""
        no_face = jpeg(Image.new("RGB", (64, 64), "grey"))
        began = time.monotonic()
        for _ in range(FREE + 5):
            async with device.http.get("/get_registration_face?limit=0") as answer:
                assert (await answer.json())["code"] == 0
            async with device.http.post("/recognition_face", data=form(no_face)) as answer:
                assert (await answer.json())["code"] == 1005
        assert time.monotonic() - began < 0.2 * 2 * 5

    async def test_what_no_reader_takes_waits(self, device: Device) -> None:
        """It costs a worker next to nothing, and so much more to receive."""
        began = time.monotonic()
        for _ in range(FREE + 2):
            async with device.http.post("/recognition_face", data=form(b"no photo")) as answer:
                assert (await answer.json())["code"] != 0
        assert time.monotonic() - began >= 0.4
