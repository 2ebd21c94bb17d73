"""What is remembered of the last requests: bounded, and nobody without a name pushes out who has one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.http.recent import CALLERS, NAMELESS, REASONS, TIMED, Recent, StageTime

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def record(
    recent: Recent, name: str | None = None, *, client: str = "192.0.2.1", reason: str = "ok", second: int = 0
) -> None:
    recent.record(
        name=name, client=client, reason=reason, now=NOON + timedelta(seconds=second), took_ms=9.0, stages_ms={}
    )


def test_callers_by_name_the_latest_first() -> None:
    """With the address of the last call, and the reasons of what was refused."""
    recent = Recent()
    record(recent, "door-1", second=1)
    record(recent, "door-1", client="192.0.2.9", reason="face_not_found", second=2)
    record(recent, "door-1", client="192.0.2.9", reason="face_not_found", second=3)
    record(recent, "key:desk", second=4)
    last, first = recent.callers()
    assert (last.name, last.requests, dict(last.refusals)) == ("key:desk", 1, {})
    assert (first.name, first.client, first.requests) == ("door-1", "192.0.2.9", 3)
    assert first.last_at == NOON + timedelta(seconds=3)
    assert dict(first.refusals) == {"face_not_found": 2}


def test_who_has_no_name_is_an_address() -> None:
    recent = Recent()
    for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        record(recent, client=client)
    assert {each.client: (each.name, each.requests) for each in recent.callers()} == {
        "192.0.2.1": (None, 2),
        "192.0.2.2": (None, 1),
    }


def test_addresses_push_no_device_out() -> None:
    """However many there are; of each kind, who called least lately goes."""
    recent = Recent()
    record(recent, "door-1")
    for number in range(2 * CALLERS):
        record(recent, client=f"client {number}", second=number)
    callers = recent.callers()
    assert len(callers) == NAMELESS + 1
    assert callers[0].client == f"client {2 * CALLERS - 1}"
    assert "door-1" in {each.name for each in callers}
    for number in range(2 * CALLERS):
        record(recent, f"door {number}")
    assert len(recent.callers()) == CALLERS
    assert "door-1" not in {each.name for each in recent.callers()}


def test_reasons_are_bounded_too() -> None:
    recent = Recent()
    for number in range(2 * REASONS):
        record(recent, "door-1", reason=f"reason_{number}")
    [caller] = recent.callers()
    assert len(caller.refusals) == REASONS
    assert caller.requests == 2 * REASONS


def test_times_of_stages() -> None:
    """Of the last requests that had stages, the whole request last."""
    recent = Recent()
    record(recent)
    for took in range(1, 101):
        recent.record(
            name=None,
            client="",
            reason="ok",
            now=NOON,
            took_ms=float(took),
            stages_ms={"decode": took / 10, "embed": 5.0},
        )
    assert recent.stages() == [
        StageTime(stage="decode", requests=100, median_ms=5.0, p95_ms=9.5),
        StageTime(stage="embed", requests=100, median_ms=5.0, p95_ms=5.0),
        StageTime(stage="total", requests=100, median_ms=50.0, p95_ms=95.0),
    ]


def test_old_times_are_forgotten() -> None:
    recent = Recent()
    for took_ms in [1000.0] * TIMED + [1.0] * TIMED:
        recent.record(name=None, client="", reason="ok", now=NOON, took_ms=took_ms, stages_ms={"decode": took_ms})
    assert {each.p95_ms for each in recent.stages()} == {1.0}
    assert Recent().stages() == []
