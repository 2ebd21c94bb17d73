"""The file of the audit trail: what is written is there, names that are erased are nowhere, and pages are whole."""

from __future__ import annotations

import stat
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from service.audit.events import Erasure, Event, Renaming, Selection, Subject
from service.audit.trail_file import TrailFile
from service.errors import AuditUnavailable

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def event(n: int = 1, *subjects: Subject, **changes: object) -> Event:
    made = Event(
        at=NOW + timedelta(seconds=n),
        request_id=f"{n:016x}",
        caller="door-7",
        client="192.0.2.7",
        operation="recognise",
        route="POST /recognition_face",
        gallery="default",
        outcome="ok",
        subjects=subjects,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of an event


def put(file: TrailFile, *events: Event) -> None:
    file.write([partial(TrailFile.put, event=each) for each in events])


def all_of(file: TrailFile, now: datetime = NOW, **wanted: object) -> list[Event]:
    return file.page(Selection(**wanted), now)  # type: ignore[arg-type]  # fields of a selection


def raw(path: Path) -> bytes:
    """All that the file and its log hold."""
    return b"".join(each.read_bytes() for each in path.parent.iterdir())


ZOE, BOB = Subject(remark="Zoë Quux-77", face_id=7, score=0.7134), Subject(remark="Bob", face_id=8)


def test_what_is_written_comes_back(file: TrailFile, path: Path) -> None:
    """To the letter, also from another connection; nobody but the owner reads it."""
    written = [event(1, ZOE, BOB), event(2, gallery=None, outcome="face_not_found")]
    put(file, *written)
    with closing(TrailFile(path)) as again:
        assert all_of(again) == [replace(each, number=n) for n, each in enumerate(written, 1)]
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("remark", ["'; DROP TABLE events; --", "\x00", "a" * 1024, "\ud83d", "%", "_", "🙂", ""])
def test_any_remark_is_kept(file: TrailFile, remark: str) -> None:
    """Half a surrogate pair is no character, and becomes a question mark."""
    put(file, event(1, Subject(remark=remark)), event(2, BOB))
    [found] = all_of(file, remark=remark)
    assert found.subjects[0].remark == remark.encode("utf-8", "replace").decode()


def test_what_became_of_a_request_takes_the_place_of_its_beginning(file: TrailFile) -> None:
    put(file, event(1, Subject(remark="asked"), outcome=None, gallery=None), event(2))
    put(file, event(1, ZOE))
    assert [(each.number, each.outcome, each.subjects) for each in all_of(file)] == [(1, "ok", (ZOE,)), (2, "ok", ())]


def test_a_request_that_goes_on_holds_back_those_behind_it(file: TrailFile) -> None:
    """So that a reader who follows by numbers misses no outcome; after five minutes nobody waits for it any more."""
    put(file, event(1), event(2, outcome=None), event(3))
    assert [each.number for each in all_of(file)] == [1]
    assert [each.outcome for each in all_of(file, NOW + timedelta(minutes=6))] == ["ok", None, "ok"]
    put(file, event(2, outcome="unknown_face"))
    assert [each.number for each in all_of(file)] == [1, 2, 3]


def test_pages(file: TrailFile) -> None:
    put(file, *(event(n) for n in range(1, 8)))
    assert [each.number for each in all_of(file, after=3, limit=2)] == [4, 5]
    assert all_of(file, after=7) == []
    assert all_of(file, after=10**17) == []


def test_a_selection(file: TrailFile) -> None:
    """By gallery, person and caller."""
    put(file, event(1, ZOE), event(2, BOB, gallery="staff"), event(3, caller="key:desk", gallery=None))
    assert [each.number for each in all_of(file, galleries=["staff"])] == [2]
    assert [each.number for each in all_of(file, galleries=["staff", "default"])] == [1, 2]
    assert [each.number for each in all_of(file, galleries=[])] == []
    assert [each.number for each in all_of(file, remark="Bob")] == [2]
    assert [each.number for each in all_of(file, caller="key:desk")] == [3]


def test_an_erased_name_is_nowhere_in_the_file(file: TrailFile, path: Path) -> None:
    """Neither in its pages nor in the log of writes; others stay, and those of the same name in another gallery."""
    put(file, *(event(n, ZOE, BOB) for n in range(1, 200)), event(200, ZOE, gallery="staff"))
    assert "Zoë Quux-77".encode() in raw(path)
    file.write([partial(TrailFile.erase, erasure=Erasure(gallery="default", remark=ZOE.remark))])
    file.shrink()
    first, *_, other = all_of(file, limit=1000)
    assert first.subjects == (replace(ZOE, remark=None, erased=True), BOB)
    assert other.subjects == (ZOE,)
    file.write([partial(TrailFile.erase, erasure=Erasure(gallery="staff"))])
    file.shrink()
    assert b"Quux-77" not in raw(path)


def test_a_faces_name_is_erased_by_its_number(file: TrailFile) -> None:
    put(file, event(1, ZOE, BOB))
    file.write([partial(TrailFile.erase, erasure=Erasure(gallery="default", face_id=7))])
    assert [each.remark for each in all_of(file)[0].subjects] == [None, "Bob"]


def test_a_person_who_is_renamed_is_found_by_the_new_name(file: TrailFile) -> None:
    """So erasing him later finds what happened before; what was erased stays so."""
    put(file, event(1, ZOE), event(2, BOB))
    file.write([partial(TrailFile.erase, erasure=Erasure(gallery="default", face_id=8))])
    for change in (
        Renaming(gallery="default", remark=ZOE.remark, new="Zoe"),
        Renaming(gallery="default", face_id=8, new="x"),
    ):
        file.write([partial(TrailFile.rename, renaming=change)])
    assert [each.subjects[0].remark for each in all_of(file)] == ["Zoe", None]


def test_old_events_go_with_their_subjects(file: TrailFile, path: Path) -> None:
    put(file, event(1, ZOE), event(60, BOB))
    file.write([partial(TrailFile.forget_before, time=NOW + timedelta(seconds=30))])
    file.shrink()
    assert [each.number for each in all_of(file)] == [2]
    assert b"Quux-77" not in raw(path)


def test_what_fails_in_between_leaves_nothing(file: TrailFile) -> None:
    def fails(_: TrailFile) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        file.write([partial(TrailFile.put, event=event(1)), fails])
    assert all_of(file) == []
    put(file, event(2))
    assert len(all_of(file)) == 1


def test_two_services_write_one_file(path: Path) -> None:
    """Each waits for the other."""

    def write(begin: int) -> None:
        with closing(TrailFile(path)) as file:
            for n in range(begin, begin + 30):
                put(file, event(n, ZOE))

    TrailFile(path).close()
    writers = [Thread(target=write, args=(begin,)) for begin in (0, 100, 200)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    with closing(TrailFile(path)) as file:
        assert len(all_of(file, limit=1000)) == 90


@pytest.mark.parametrize("content", [b"no database", b"\x00" * 5000])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    """And not overwritten; the sentence names the setting."""
    path = tmp_path / "audit.sqlite"
    path.write_bytes(content)
    with pytest.raises(AuditUnavailable, match=r"^The audit trail FACE_AUDIT='.*' can't be used \("):
        TrailFile(path)
    assert path.read_bytes() == content


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable, match="can't be used"):
        TrailFile(tmp_path)
