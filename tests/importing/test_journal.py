"""The journal: what it knows, what it forgets, and that nothing breaks without it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.importing.journal import Entry, Journal, JournalUnavailable
from indexer.importing.outcomes import Outcome
from indexer.importing.photo_files import Photo

PHOTO = Photo(Path("/photos/1.jpg"), "Ann", size=5, modified_ns=1_700_000_000_000_000_001)
ENTRY = Entry(PHOTO, "ab" * 32, Outcome.REGISTERED, face_ids=(1, 2**53 - 1))

Open = Callable[..., Journal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery" / "journal.sqlite"


@pytest.fixture
def reopen(path: Path) -> Iterator[Open]:
    """Opens the test's journal, after closing it if it is open."""
    opened: list[Journal] = []

    def reopen(terms: str = "terms", writing: bool = True) -> Journal:
        for each in opened:
            each.close()
        opened.append(Journal.open(path, terms, writing=writing))
        return opened[-1]

    yield reopen
    for each in opened:
        each.close()


def test_an_entry_comes_back_as_it_was(reopen: Open) -> None:
    """Also after the process that wrote it has gone; the empty reason and the great face_id too."""
    failed = Entry(replace(PHOTO, path=Path("/photos/2.jpg")), "", Outcome.TOO_LARGE, reason="Too large, 太大.")
    reopen().record([ENTRY, failed])
    journal = reopen()
    assert journal.find(PHOTO) == ENTRY
    assert journal.find(failed.photo) == failed


@pytest.mark.parametrize(
    "change", [{"size": 6}, {"modified_ns": 1}, {"remark": "Bob"}, {"path": Path("/photos/3.jpg")}]
)
def test_what_is_another_file_or_remark_now_is_unknown(reopen: Open, change: dict[str, object]) -> None:
    journal = reopen()
    journal.record([ENTRY])
    assert journal.find(replace(PHOTO, **change)) is None  # type: ignore[arg-type]


def test_other_terms_know_nothing(reopen: Open) -> None:
    """Another model or rule of choosing faces would come to another result."""
    reopen("largest").record([ENTRY])
    assert reopen("all").find(PHOTO) is None
    assert reopen("all").find_content(PHOTO, ENTRY.sha256) is None


def test_a_photo_is_known_by_its_bytes_wherever_it_is(reopen: Open) -> None:
    """With the same remark only, and only if its faces were registered."""
    journal = reopen()
    nowhere = Entry(replace(PHOTO, path=Path("/photos/2.jpg")), "cd" * 32, Outcome.NO_FACE)
    journal.record([ENTRY, nowhere])
    moved = replace(PHOTO, path=Path("/elsewhere/1.jpg"), modified_ns=2)
    assert journal.find_content(moved, ENTRY.sha256) == Entry(
        moved, ENTRY.sha256, Outcome.KNOWN, face_ids=ENTRY.face_ids
    )
    assert journal.find_content(replace(moved, remark="Bob"), ENTRY.sha256) is None
    assert journal.find_content(moved, nowhere.sha256) is None


def test_what_may_pass_is_forgotten_for_the_next_run(reopen: Open) -> None:
    passing = Entry(replace(PHOTO, path=Path("/photos/2.jpg")), "", Outcome.FAILED, final=False)
    journal = reopen()
    journal.record([ENTRY, passing])
    assert journal.find(passing.photo) == passing
    journal.forget_transient()
    assert journal.find(passing.photo) is None
    assert journal.find(PHOTO) == ENTRY


def test_it_is_empty_until_it_claims_a_face(reopen: Open) -> None:
    journal = reopen()
    journal.record([replace(ENTRY, outcome=Outcome.NO_FACE, face_ids=())])
    assert journal.is_empty()
    journal.record([ENTRY])
    assert not journal.is_empty()
    journal.clear()
    assert journal.is_empty()


def test_names_that_are_not_utf8_are_kept(reopen: Open) -> None:
    journal = reopen()
    strange = replace(ENTRY, photo=replace(PHOTO, path=Path(os.fsdecode(b"/photos/\xff.jpg"))))
    journal.record([strange])
    assert journal.find(strange.photo) == strange


def test_unless_writing_nothing_is_left_behind(reopen: Open, path: Path) -> None:
    """A rehearsal makes no file, and changes none."""
    reopen(writing=False).record([ENTRY])
    assert not path.exists()
    reopen().record([ENTRY])
    reopen(writing=False).clear()
    assert reopen().find(PHOTO) == ENTRY


def test_a_damaged_journal_is_put_aside(reopen: Open, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It only saves time, so it never stops an import."""
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    with caplog.at_level(logging.WARNING):
        reopen().record([ENTRY])
    assert "all photos are processed again" in caplog.text
    assert reopen().find(PHOTO) == ENTRY


def test_a_folder_that_can_not_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnavailable, match=r"can't be written .*"):
        Journal.open(tmp_path / "file" / "journal.sqlite", "terms")
