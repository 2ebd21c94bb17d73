"""The report: a line for each file, in both formats, and the summary."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from indexer.importing.names import Names
from indexer.importing.outcomes import Line, Outcome
from indexer.importing.report import Report, ReportUnavailable

LINES = [
    Line("/photos/Ann, 安/1.jpg", Outcome.REGISTERED, face_id=2**53 - 1, milliseconds=12.345),
    Line(os.fsdecode(b"/photos/\xff.jpg"), Outcome.UNREADABLE, reason='It is "damaged", in\ntwo lines.'),
    Line("/photos/.hidden", Outcome.HIDDEN),
]


def written(path: Path) -> Report:
    with Report(path) as report:
        for line in LINES:
            report.add(line)
    return report


def test_json_lines_hold_everything(tmp_path: Path) -> None:
    """Names that aren't UTF-8 included."""
    path = written(tmp_path / "new" / "report.jsonl").path
    rows = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert [row["path"] for row in rows] == [line.path for line in LINES]
    assert rows[0] == {
        "path": LINES[0].path,
        "outcome": "registered",
        "face_id": 2**53 - 1,
        "reason": "",
        "milliseconds": 12.3,
    }
    assert rows[1]["face_id"] is None


def test_csv_holds_everything(tmp_path: Path) -> None:
    path = written(tmp_path / "report.CSV").path
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [line.path for line in LINES]
    assert [row["reason"] for row in rows] == [line.reason for line in LINES]
    assert rows[0]["face_id"] == str(2**53 - 1)
    assert rows[1]["face_id"] == ""


def test_the_summary_counts_each_outcome(tmp_path: Path) -> None:
    """What there was none of isn't named; only what should be in the gallery and isn't has failed."""
    report = written(tmp_path / "report.jsonl")
    assert report.summary().splitlines() == [
        *("           1  registered", "           1  unreadable", "           1  hidden"),
        *("Not imported:", '  /photos/\ufffd.jpg: It is "damaged", in two lines.'),
        f"Report: {tmp_path / 'report.jsonl'}",
    ]
    assert report.failed == 1


def test_the_summary_names_the_first_failures(tmp_path: Path) -> None:
    """In letters, where --encoding says which; the report has the others."""
    with Report(tmp_path / "report.jsonl", Names("gbk")) as report:
        for number in range(1, 1008):
            path = os.fsdecode(f"/照片/{number}\x1b.jpg".encode("gbk"))
            report.add(Line(path, Outcome.DARK if number % 2 else Outcome.NO_FACE, reason="" if number % 2 else "Why."))
    assert report.summary().splitlines()[2:] == [
        "Not imported:",
        *("  /照片/1\\x1b.jpg: It is dark.", "  /照片/2\\x1b.jpg: Why.", "  /照片/3\\x1b.jpg: It is dark."),
        *("  /照片/4\\x1b.jpg: Why.", "  /照片/5\\x1b.jpg: It is dark."),
        f"and 1,002 more in the report: {tmp_path / 'report.jsonl'}",
    ]


def test_lines_are_there_once_flushed(tmp_path: Path) -> None:
    """A killed import leaves what it has said."""
    with Report(tmp_path / "report.jsonl") as report:
        report.add(LINES[0])
        report.flush()
        assert len((tmp_path / "report.jsonl").read_text().splitlines()) == 1


def test_a_place_that_can_not_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportUnavailable, match=r"can't be written .*; name another\.$"):
        Report(tmp_path)


def test_a_full_disk_is_said_in_a_sentence() -> None:
    """/dev/full is one."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    def write(flush: bool) -> None:
        with Report(Path("/dev/full")) as report:
            report.add(LINES[0])
            if flush:
                report.flush()

    for flush in (True, False):
        with pytest.raises(ReportUnavailable, match="make room"):
            write(flush)
