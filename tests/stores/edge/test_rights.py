"""Nobody but its owner reads a gallery's folder, whatever the umask that the service was started with."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.importing.journal import Journal
from indexer.importing.report import Report
from service.audit.trail_file import TrailFile
from service.devices.secret_uses import UseFile
from service.stores.edge.store import EdgeStore
from tests.support.stored_faces import CONTRACT, START, embedding, face


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """One that lets everybody read and the group write."""
    former = os.umask(0o002)
    yield
    os.umask(former)


@pytest.mark.slow
async def test_everything_below_the_folder_of_data(tmp_path: Path) -> None:
    """The gallery, used, and what services, imports and the audit trail put beside it."""
    data = tmp_path / "missing" / "data"
    store = EdgeStore(data / "gallery")
    await store.open()
    await store.bind(CONTRACT)
    await store.add_many([(face(n), embedding(n)) for n in range(1, 300)])
    await store.create_gallery("staff", START)
    await store.remove(7, gallery=None)
    await store.probe_write()
    await store.optimize()
    Journal.open(data / "imports" / "journal.sqlite", "terms").close()
    with Report(data / "imports" / "report.csv"):
        pass
    TrailFile(data / "audit" / "trail.sqlite").close()
    UseFile(data / "secret-uses.json").write({"door-7": {"mark": 1.0}})
    while_open = modes(tmp_path / "missing")
    await store.close()
    for found in (while_open, modes(tmp_path / "missing")):
        assert len(found) > 20
        assert {name: oct(mode) for name, mode in found.items() if mode not in (0o40700, 0o100600)} == {}


@pytest.mark.slow
async def test_a_folder_of_an_older_version_is_closed(tmp_path: Path) -> None:
    """Where the service may do so."""
    folder = tmp_path / "gallery"
    folder.mkdir(mode=0o755)
    store = EdgeStore(folder)
    await store.open()
    await store.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def modes(folder: Path) -> dict[str, int]:
    """Of everything below a folder, and of itself."""
    found = {}
    for each in (folder, *folder.rglob("*")):
        try:
            found[str(each)] = each.stat().st_mode
        except FileNotFoundError:  # Edge makes its next log in a thread of its own
            continue
    return found
