"""Finds the photos to import, with their remarks: in a folder and all below it, or in a CSV file."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from pathlib import Path

from indexer.importing.names import UTF8, Names, UnreadableName, is_text, not_of
from indexer.importing.outcomes import Line, Outcome
from indexer.importing.tables import BadRow, Table, UnreadableSource
from service.values import MAX_REMARK

SORTED_AT_ONCE = 4096
"""Names of a folder that are in memory together, and sorted; a larger folder comes in as many pieces as it takes."""

REMARKS = ("folder", "file", "path")


@dataclass(frozen=True, slots=True)
class Photo:
    """A regular file, not opened yet; `modified_ns` is its mtime."""

    path: Path
    remark: str
    _: KW_ONLY
    size: int
    modified_ns: int


Item = Photo | Line
"""A photo to import, or a line about what can't be one."""


def find_photos(source: Path, remark: str, encoding: str = UTF8) -> Callable[[], Iterator[Item]]:
    """How to go through a folder, whose photos have a `remark` of REMARKS, or through a CSV file.

    Names are written in `encoding`, and the CSV file too, unless its first bytes say another. Raises UnreadableSource
    where there is neither, or the CSV's first line doesn't name the columns `path` and `remark`.
    """
    names = Names(encoding)
    try:
        if source.is_dir():
            with os.scandir(source):
                return lambda: _Walk(source, remark, names).items()
        table = Table.of(source, encoding)
    except (OSError, csv.Error) as error:
        raise UnreadableSource(f"{source} can't be read ({error}); name a folder of photos or a CSV file.") from None
    return lambda: _listed(table, names)


Place = tuple[int, int]
"""A folder's device and inode."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """One to go into."""

    path: Path
    place: Place


class _Walk:
    """One way through a folder, depth first; remembers which links it followed."""

    def __init__(self, root: Path, remark: str, names: Names) -> None:
        self._root = root
        self._names = names
        self._real_root = root.resolve()
        self._remark = remark
        self._followed: set[Place] = set()

    def items(self) -> Iterator[Item]:
        """Of each folder no more than SORTED_AT_ONCE names are in memory."""
        # A stack of our own: folders may be nested more deeply than functions.
        stack = [(self._root, _names(self._root), frozenset({_place(self._root.stat())}))]
        while stack:
            folder, names, above = stack[-1]
            try:
                name = next(names, None)
            except OSError as error:
                yield Line(str(folder), Outcome.UNREADABLE, reason=_sentence(error))
                name = None
            if name is None:
                stack.pop()
            elif name.startswith("."):
                yield Line(str(folder / name), Outcome.HIDDEN)
            else:
                item = self._visit(folder / name, above)
                if isinstance(item, _Folder):
                    stack.append((item.path, _names(item.path), above | {item.place}))
                else:
                    yield item

    def _visit(self, path: Path, above: frozenset[Place]) -> Item | _Folder:
        try:
            found = path.stat()
        except OSError as error:
            return Line(str(path), Outcome.UNREADABLE, reason=_sentence(error))
        if not stat.S_ISDIR(found.st_mode):
            try:
                return _photo(path, self._remark_of(path), found)
            except UnreadableName as error:
                return Line(str(path), Outcome.REFUSED, reason=str(error))
        if path.is_symlink() and (reason := self._why_not_follow(path, _place(found), above)):
            return Line(str(path), Outcome.LINK, reason=reason)
        return _Folder(path, _place(found))

    def _why_not_follow(self, path: Path, place: Place, above: frozenset[Place]) -> str:
        """Empty where a link to a folder leads to photos that are not met otherwise."""
        if place in above:
            return "It leads back to a folder that it is in."
        if place in self._followed:
            return "Another link leads to the same folder."
        if path.resolve().is_relative_to(self._real_root):
            return "It leads to a folder that is imported anyway."
        self._followed.add(place)
        return ""

    def _remark_of(self, path: Path) -> str:
        """Raises UnreadableName."""
        if self._remark == "folder":
            if path.parent == self._root:
                return self._names.root(self._real_root.name)
            return self._names.text(path.parent.name, "The name of its folder")
        if self._remark == "file":
            return self._names.text(path.stem, "Its name")
        parts = path.relative_to(self._root).parts  # no encoding may take the slash for a part of a letter
        return "/".join(self._names.text(part, "Its path") for part in parts)


def _names(folder: Path) -> Iterator[str]:
    """Sorted, in a large folder piece by piece. Raises OSError."""
    with os.scandir(folder) as entries:
        while names := [entry.name for entry in islice(entries, SORTED_AT_ONCE)]:
            yield from sorted(names)


def _place(folder: os.stat_result) -> Place:
    return folder.st_dev, folder.st_ino


def _listed(table: Table, names: Names) -> Iterator[Item]:
    """The rows of a CSV file; paths are relative to its folder."""
    for row in table.rows():
        if isinstance(row, BadRow):
            yield _bad_row(table, row.number, row.problem)
            continue
        if is_text(row.remark):
            yield _stat(_path_on_disk(table, row.path, names), row.remark)
        else:
            reason = not_of(table.encoding, f"The remark in line {row.number} of the CSV file")
            yield Line(str(table.file), Outcome.REFUSED, reason=reason)


def _path_on_disk(table: Table, path: str, names: Names) -> Path:
    """The name may be written on the disk as in the table, or in the encoding of all names there, or in UTF-8."""
    for encoding in dict.fromkeys((table.encoding, names.encoding)):
        with suppress(UnicodeError, OSError):
            there = table.file.parent / os.fsdecode(path.encode(encoding, "surrogateescape"))
            if there.exists():
                return there
    return table.file.parent / path


def _bad_row(table: Table, number: int, problem: str) -> Line:
    return Line(str(table.file), Outcome.REFUSED, reason=f"Line {number} of the CSV file {problem}; correct it.")


def _stat(path: Path, remark: str) -> Item:
    try:
        return _photo(path, remark, path.stat())
    except OSError as error:
        return Line(str(path), Outcome.UNREADABLE, reason=_sentence(error))


def _photo(path: Path, remark: str, found: os.stat_result) -> Item:
    """Opening a pipe or a device might never return, so only regular files are photos."""
    if not stat.S_ISREG(found.st_mode):
        return Line(str(path), Outcome.NOT_A_PHOTO, reason="It is no regular file.")
    if not remark:
        return Line(str(path), Outcome.REFUSED, reason="It has no remark; give it one.")
    if len(remark) > MAX_REMARK:
        reason = f"Its remark is longer than {MAX_REMARK} characters; shorten it."
        return Line(str(path), Outcome.REFUSED, reason=reason)
    return Photo(path, remark, size=found.st_size, modified_ns=found.st_mtime_ns)


def _sentence(error: OSError) -> str:
    return f"It can't be read: {error.strerror}."
