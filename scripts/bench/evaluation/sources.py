"""Reads what is to be evaluated: pairs (a CSV, LFW's pairs.txt), people (a folder each, an index CSV), and groups."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from scripts.bench.photos import photos_below

Role = Literal["gallery", "probe", "unknown"]
SAME = {"1", "true", "yes"}
DIFFERENT = {"0", "false", "no"}


class UnusableSource(Exception):
    """A file or folder can't be evaluated; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos, whether they show the same person, and which of LFW's sets they are of, if any."""

    a: Path
    b: Path
    same: bool
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo, whom it shows, and what it is for, where the index says."""

    path: Path
    identity: str
    role: Role | None = None


def read_pairs(table: Path, root: Path | None) -> list[Pair]:
    """A CSV (path a, path b, same; with a header or without) or LFW's pairs.txt, which needs `root`.

    Paths are relative to `root`, or else to the table's folder. Raises UnusableSource.
    """
    lines = _lines(table)
    first = lines[0].split() if lines else []
    if first and all(each.isdigit() for each in first) and "," not in lines[0]:
        if root is None:
            raise UnusableSource(f"{table} is a table as LFW has it; name the folder of its people with ROOT=FOLDER.")
        pairs = _lfw_pairs(table, lines[1:], root, per_set=int(first[-1]))
    else:
        pairs = _csv_pairs(table, lines, root or table.parent)
    if len({pair.same for pair in pairs}) < len((True, False)):
        raise UnusableSource(f"{table} must have pairs of one person and pairs of two; add those that it lacks.")
    _require(table, [path for pair in pairs for path in (pair.a, pair.b)])
    return pairs


def read_people(source: Path, root: Path | None) -> list[Portrait]:
    """A folder with a folder for each person, or a CSV with the columns path, identity and, if wanted, role.

    Paths are relative to `root`, or else to the CSV's folder. Raises UnusableSource.
    """
    if not source.exists():
        raise UnusableSource(f"There is no {source}; name a folder with a folder for each person, or a CSV file.")
    if source.is_dir():
        portraits = [
            Portrait(path, folder.name)
            for folder in sorted(source.iterdir())
            if folder.is_dir()
            for path in photos_below(folder)
        ]
        if not portraits:
            raise UnusableSource(f"{source} has no folders with photos; make one for each person.")
    else:
        portraits = _index(source, root or source.parent)
    roles = {portrait.role is None for portrait in portraits}
    if len(roles) > 1:
        raise UnusableSource(f"{source} gives some photos a role and others none; give one to all or to none.")
    _require_people(source, portraits)
    return portraits


def read_groups(files: Sequence[Path], people: Iterable[str]) -> dict[str, str]:
    """The group of each person, by name: that of the file that lists it, or `others` in none.

    A file has one identity a line and lends the group its own name. Raises UnusableSource for a group with none of the
    people, for people of two groups, and where nobody is left for `others`.
    """
    group_of = dict.fromkeys(people, "others")
    for file in files:
        named = {line.strip() for line in _lines(file)} & group_of.keys()
        if not named:
            raise UnusableSource(
                f"{file} names none of the people; put one identity on each line, as the gallery has it."
            )
        if twice := sorted(name for name in named if group_of[name] != "others"):
            raise UnusableSource(f"{file} names {twice[0]}, whom another group has too; leave it in one of them.")
        group_of |= dict.fromkeys(named, file.stem)
    if files and "others" not in group_of.values():
        raise UnusableSource(f"{', '.join(map(str, files))} name all of the people; leave some to compare them with.")
    return group_of


def _csv_pairs(table: Path, lines: Sequence[str], folder: Path) -> list[Pair]:
    pairs = []
    for number, row in enumerate(csv.reader(lines), 1):
        match [cell.strip() for cell in row]:
            case []:
                pass
            case [a, b, same] if same.lower() in SAME | DIFFERENT:
                pairs.append(Pair(folder / a, folder / b, same.lower() in SAME))
            case [_, _, _] if number == 1:  # the header
                pass
            case _:
                raise UnusableSource(
                    f"Line {number} of {table} must be `path a,path b,same` with 1 or 0 for same; correct it."
                )
    return pairs


def _lfw_pairs(table: Path, lines: Sequence[str], root: Path, *, per_set: int) -> list[Pair]:
    """Each set has `per_set` pairs of one person (name, number, number), then as many of two (name, number twice)."""
    pairs = []
    for number, line in enumerate(lines, 2):
        fold = (number - 2) // (2 * per_set)
        match line.split():
            case []:
                pass
            case [name, one, other] if one.isdigit() and other.isdigit():
                pairs.append(Pair(_lfw_photo(root, name, one), _lfw_photo(root, name, other), same=True, fold=fold))
            case [name, one, another, other] if one.isdigit() and other.isdigit():
                pairs.append(Pair(_lfw_photo(root, name, one), _lfw_photo(root, another, other), same=False, fold=fold))
            case _:
                raise UnusableSource(f"Line {number} of {table} is none of LFW's pairs; correct it or remove it.")
    return pairs


def _lfw_photo(root: Path, name: str, number: str) -> Path:
    return root / name / f"{name}_{int(number):04d}.jpg"


def _index(table: Path, folder: Path) -> list[Portrait]:
    rows = csv.DictReader(_lines(table))
    columns = [name.strip() for name in rows.fieldnames or []]
    rows.fieldnames = columns
    if not {"path", "identity"} <= set(columns):
        raise UnusableSource(f"The first line of {table} must name the columns path, identity and, if wanted, role.")
    portraits = []
    for row in rows:
        role = _role(row, table, rows.line_num)
        if not row["path"] or not row["identity"]:
            raise UnusableSource(f"Line {rows.line_num} of {table} lacks a path or an identity; add it.")
        portraits.append(Portrait(folder / row["path"], row["identity"], role))
    return portraits


def _role(row: Mapping[str, str | None], table: Path, number: int) -> Role | None:
    for role in get_args(Role):
        if row.get("role") == role:
            return role  # type: ignore[no-any-return]  # get_args gives Any
    if row.get("role"):
        raise UnusableSource(
            f"Line {number} of {table} has the role {row['role']}; it must be gallery, probe or unknown."
        )
    return None


def _require_people(source: Path, portraits: Sequence[Portrait]) -> None:
    """Raises UnusableSource where nobody could be found, or a photo is missing."""
    if portraits and portraits[0].role is not None:
        enrolled = {each.identity for each in portraits if each.role == "gallery"}
        if not any(each.role == "probe" and each.identity in enrolled for each in portraits):
            raise UnusableSource(f"Nobody in {source} has a photo for the gallery and one as a probe; add some.")
    else:
        names = [each.identity for each in portraits]
        if len(set(names)) == len(names):
            raise UnusableSource(f"Nobody in {source} has two photos; add a second one of at least some people.")
        if len(set(names)) < len(("a member", "a stranger")):
            raise UnusableSource(f"{source} has one person only; add others, who are to be strangers.")
    _require(source, [each.path for each in portraits])


def _require(source: Path, paths: Sequence[Path]) -> None:
    missing = [path for path in dict.fromkeys(paths) if not path.is_file()]
    if missing:
        number = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UnusableSource(
            f"{source} names {missing[0]}{number}, where no file is; name the folder of its paths with ROOT=FOLDER."
        )


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UnusableSource(f"There is no file {file}; name one that exists.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableSource(f"{file} can't be read as text ({error}); name a CSV or text file.") from None
