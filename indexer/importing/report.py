"""Counts what became of the files, and writes it down, a line for each."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Self

from indexer.importing.names import Names, printable
from indexer.importing.outcomes import Line, Outcome
from service.errors import FaceServiceError
from service.files import make_private_folder, open_private

SHOWN = 5
"""Failures that the summary names; the report has all."""


class ReportUnavailable(FaceServiceError):
    """The report's file can't be written."""

    code = "report_unavailable"


class Report:
    """A file of JSON lines, or CSV where its name ends so; and the summary."""

    def __init__(self, path: Path, names: Names | None = None) -> None:
        """Begin the file; one that is there is replaced. `names` shows paths to people. Raises ReportUnavailable."""
        self.path = path
        self._names = names or Names()
        self._first_failed: list[Line] = []
        self.counts: Counter[Outcome] = Counter()
        self._is_csv = path.suffix.lower() == ".csv"
        try:
            make_private_folder(path.parent)
            # A CSV file holds the bytes of a name that isn't UTF-8 as they are; JSON escapes them.
            self._file = open(  # noqa: SIM115 - closed by __exit__
                path, "w", encoding="utf-8", errors="surrogateescape", newline="", opener=open_private
            )
        except OSError as error:
            raise ReportUnavailable(f"The report {path} can't be written ({error.strerror}); name another.") from None
        self._csv = csv.DictWriter(self._file, [each.name for each in fields(Line)])
        if self._is_csv:
            self._csv.writeheader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(ReportUnavailable) if kind else nullcontext(), self._explained():
            self._file.close()

    def add(self, line: Line) -> None:
        """Count and write one. Raises ReportUnavailable."""
        self.counts[line.outcome] += 1
        if line.outcome.is_failure and len(self._first_failed) < SHOWN:
            self._first_failed.append(line)
        row = {**asdict(line), "outcome": line.outcome.value, "milliseconds": round(line.milliseconds, 1)}
        with self._explained():
            if self._is_csv:
                self._csv.writerow(row)
            else:
                self._file.write(json.dumps(row) + "\n")

    def flush(self) -> None:
        """Let others see the lines so far, even if this process is killed next."""
        with self._explained():
            self._file.flush()

    @property
    def failed(self) -> int:
        """Files that should be in the gallery and are not."""
        return sum(count for outcome, count in self.counts.items() if outcome.is_failure)

    def summary(self) -> str:
        """A line for each outcome there was, the first failures with their reasons, and where the report is."""
        rows = [f"{self.counts[each]:>12,}  {each.value}" for each in Outcome if self.counts[each]]
        report = f"Report: {self.path}"
        if self._first_failed:
            rows += ["Not imported:", *map(self._shown, self._first_failed)]
            if more := self.failed - len(self._first_failed):
                report = f"and {more:,} more in the report: {self.path}"
        return "\n".join([*(rows or ["Nothing to import was found."]), report])

    def _shown(self, line: Line) -> str:
        reason = printable(" ".join(line.reason.split())) or f"It is {line.outcome.value}."
        return f"  {self._names.shown(line.path)}: {reason}"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = f"The report {self.path} can't be written ({error.strerror}); make room and run again."
            raise ReportUnavailable(problem) from None
