"""Reads the CSV file that lists photos, as spreadsheets save it: which sign separates, what it is written in."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from indexer.importing.names import UTF8
from service.errors import FaceServiceError

PATH, REMARK = "path", "remark"
SEPARATORS = (",", ";", "\t")
"""A spreadsheet's own depends on the country that it is set to."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What begins with one of these says itself what it is written in."""


class UnreadableSource(FaceServiceError):
    """There is no such folder or CSV file, or it can't be read."""

    code = "bad_source"


@dataclass(frozen=True, slots=True)
class Row:
    """A photo that the table lists; cells may hold lone surrogates where bytes aren't of the table's encoding."""

    number: int
    path: str
    remark: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that lists none, though it isn't empty; `problem` goes on after its number."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file whose first line was understood; its other columns are passed over."""

    file: Path
    encoding: str
    separator: str
    heading: tuple[str, ...]

    @classmethod
    def of(cls, file: Path, encoding: str = UTF8) -> Table:
        """Read the first line. Raises UnreadableSource where it doesn't name both columns, OSError or csv.Error."""
        with file.open("rb") as opened:
            begin = opened.read(4)
        encoding = next((each for mark, each in _MARKS if begin.startswith(mark)), encoding)
        found: list[tuple[str, ...]] = []
        for separator in SEPARATORS:
            with _open(file, encoding) as text:
                try:
                    heading = tuple(name.strip().lower() for name in next(csv.reader(text, delimiter=separator), []))
                except UnicodeError:
                    break
            if PATH in heading or REMARK in heading:
                _require_both(file, heading)
                return cls(file, encoding, separator, heading)
            found.append(heading)
        raise UnreadableSource(f"{file} is no folder, and its first line is not `path,remark` as in a CSV file.")

    def rows(self) -> Iterator[Row | BadRow]:
        """Each line that isn't empty, as it is needed. Raises OSError."""
        with _open(self.file, self.encoding) as text:
            lines = csv.reader(text, delimiter=self.separator)
            next(lines, None)
            while True:
                try:
                    cells = next(lines)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield BadRow(lines.line_num, f"can't be read ({error})")
                except UnicodeError:  # of an encoding whose bytes can't be told apart after a wrong one
                    yield BadRow(lines.line_num + 1, f"and all after it aren't {self.encoding}")
                    return
                else:
                    if any(cells):
                        yield self._row(lines.line_num, cells)

    def _row(self, number: int, cells: list[str]) -> Row | BadRow:
        width = len(self.heading)
        try:
            path, remark = (cells[self.heading.index(name)] for name in (PATH, REMARK))
        except IndexError:
            path = remark = ""
        if not path or "\0" in path or any(cells[width:]) or len(cells) < min(width, 2):
            return BadRow(number, f"is not `{self.separator.join(self.heading)}`")
        return Row(number, path, remark)


def _require_both(file: Path, heading: tuple[str, ...]) -> None:
    for name in (PATH, REMARK):
        if heading.count(name) != 1:
            problem = "has no column" if name not in heading else "has more than one column"
            there = ", ".join(each for each in heading if each and each.isprintable())
            raise UnreadableSource(f"The first line of {file} {problem} `{name}`, only {there}; correct it.")


def _open(file: Path, encoding: str) -> TextIO:
    # Bytes of another encoding are kept for paths, which may hold anything.
    return file.open(encoding=encoding, errors="surrogateescape", newline="")
