"""What is wrong with a gallery in a folder: its files, its faces, its indexes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """What is wrong with a gallery; nothing, where all is empty."""

    faces: int = 0
    """How many there are that can be read."""
    expected: int = 0
    """How many there should be."""
    files: list[str] = field(default_factory=list)
    """In words, the files that are missing or changed."""
    damaged: dict[int, str] = field(default_factory=dict)
    """By face_id, in words, what is wrong with a face that is there."""
    pictureless: list[int] = field(default_factory=list)
    """The faces that are as they were registered, but for that their picture can't be decoded: no damage."""
    missing: list[int] = field(default_factory=list)
    """The faces that were registered and are gone."""
    indexes: list[str] = field(default_factory=list)
    """In words, the indexes that don't find what is there."""

    def __bool__(self) -> bool:
        return bool(self.files or self.damaged or self.missing or self.indexes)

    def add(self, other: Findings) -> None:
        """What was found about the faces, beside what was found about files."""
        self.faces, self.expected = other.faces, other.expected
        self.files += other.files
        self.damaged |= other.damaged
        self.missing += other.missing
        self.indexes += other.indexes

    def in_words(self) -> str:
        """For the end of a sentence."""
        parts = list(self.files[:3])
        if self.missing:
            parts.append(f"{len(self.missing):,} of {self.expected:,} faces are missing ({_some(self.missing)})")
        if self.damaged:
            parts.append(f"{len(self.damaged):,} faces are not as they were registered ({_some(self.damaged)})")
        return "; ".join([*parts, *self.indexes[:3]])


def _some(face_ids: Collection[int]) -> str:
    some = [str(each) for each in list(face_ids)[:5]]
    return ", ".join(some) + (", …" if len(face_ids) > len(some) else "")
