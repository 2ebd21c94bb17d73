"""Whether an embedded gallery is as it was left: its files against the seal, its faces against the ledger.

A gallery that was closed is sealed, and only its files are compared, before Edge loads them: 100,000 faces take less
than a second. One that was not closed has no seal; there every face is compared with the ledger, which takes longer.
When the gallery's process alone was killed, its files are as good as the page cache, so only the numbers are compared.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.errors import GalleryDamaged
from service.files import rename_durably
from service.stores.edge import seal
from service.stores.edge.compaction import finish_switch
from service.stores.edge.durable_shard import DurableShard
from service.stores.edge.findings import Findings
from service.stores.edge.ledger import NAME, Ledger
from service.stores.edge.registry import NAME as GALLERIES
from service.stores.edge.registry import read_text
from service.stores.edge.verification import all_digests, verify_all, verify_ids


class Opening(enum.Enum):
    """How a gallery is opened."""

    FIRST = "first"
    """By a program that knows nothing of it."""
    AGAIN = "again"
    """By a program whose former process was killed a moment ago."""
    INSPECTING = "inspecting"
    """To find out what is wrong with it; nothing is refused that can be loaded."""


def load(folder: Path, shard: DurableShard, dimension: int, opening: Opening) -> tuple[Ledger, Findings]:
    """Load a gallery that has a ledger, and compare; what is wrong with it is found only when INSPECTING.

    Raises GalleryDamaged, whose sentence goes on behind «The gallery in … is damaged: ».
    """
    if not (folder / NAME).exists():
        raise GalleryDamaged(f"{NAME} is missing")
    finish_switch(folder)
    if (ledger := _shard_gone(folder, shard)) is not None:
        shard.load(dimension)
        return ledger, Findings()
    findings = Findings()
    broken = seal.broken_files(folder)
    if broken is None:
        findings.files += seal.broken_links(folder)
    else:
        findings.files += broken
    if opening is not Opening.INSPECTING:
        _refuse(findings)
        seal.break_seal(folder)
    ledger = Ledger(folder / NAME)
    with _closed_on_failure(ledger):
        try:
            if not ledger.knows_text(GALLERIES, read_text(folder)):
                findings.files.append(f"{GALLERIES} is not as it was written, or missing")
            shard.load(dimension)
            findings.add(_compare(shard, ledger, opening, sealed=broken is not None))
            if opening is not Opening.INSPECTING:
                _refuse(findings)
        except BaseException:
            shard.abandon()
            raise
    return ledger, findings


def _compare(shard: DurableShard, ledger: Ledger, opening: Opening, *, sealed: bool) -> Findings:
    if opening is Opening.AGAIN:
        return verify_ids(shard.edge, ledger)
    if opening is Opening.INSPECTING or not sealed:
        return verify_all(shard.edge, ledger)
    ledger.note_boot()
    return Findings(faces=ledger.count(), expected=ledger.count())


def _shard_gone(folder: Path, shard: DurableShard) -> Ledger | None:
    """The ledger of a gallery that was to be made when its service was killed, None where there is a shard."""
    if shard.exists():
        return None
    ledger = Ledger(folder / NAME)
    with _closed_on_failure(ledger):
        if ledger.count() or ledger.announced():
            raise GalleryDamaged("the folder shard is missing")
        seal.break_seal(folder)
    return ledger


def new_ledger(folder: Path) -> Ledger:
    """For a gallery that is about to be made. Raises GalleryDamaged where one with faces was here."""
    ledger = Ledger(folder / NAME)
    with _closed_on_failure(ledger):
        if ledger.count():
            raise GalleryDamaged("contract.json and the folder shard are missing")
        ledger.note_boot()
    return ledger


def build_ledger(folder: Path, shard: DurableShard) -> Ledger:
    """For the faces that are there: cut off at any moment, the gallery has its former ledger, or this one."""
    draft = folder / f"{NAME}.new"
    for each in folder.glob(f"{NAME}.new*"):
        each.unlink()
    with closing(Ledger(draft)) as ledger:
        for digests in all_digests(shard.edge):
            ledger.settle(digests)
        galleries = read_text(folder)
        if galleries is not None:
            ledger.announce_text(GALLERIES, galleries)
            ledger.settle_text(GALLERIES)
        ledger.note_boot()
    for each in folder.glob(f"{NAME}-*"):  # what a killed process left of the former one
        each.unlink()
    rename_durably(draft, folder / NAME)
    return Ledger(folder / NAME)


@contextmanager
def _closed_on_failure(ledger: Ledger) -> Iterator[None]:
    try:
        yield
    except BaseException:
        ledger.close()
        raise


def _refuse(findings: Findings) -> None:
    if findings:
        raise GalleryDamaged(findings.in_words())
