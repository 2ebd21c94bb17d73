"""Keeps converted model files: each set in a folder of its own, whole or not at all, checked by digest when used."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.files import locked

log = logging.getLogger(__name__)

Manifest = Mapping[str, object]
"""What a set of files was made from and by which version of the conversion, as JSON has it."""

_MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished-"


def subfolder(models: Path, *, model: str, digest: str) -> Path:
    """Where the files of a model are kept in the models folder, whether they exist or not."""
    return models / f"{model}-{digest[:16]}"


def ready(place: Path, wanted: Manifest, names: Sequence[str], make: Callable[[Path], None]) -> Path:
    """`place`, with the files `names` in it as `wanted` says.

    Files that are missing, damaged or made from something else, as by an older version of the conversion, are made
    anew by `make(folder)`, one process at a time; whatever `make` raises passes through. Raises OSError when the folder
    around `place` can't be written.
    """
    if not intact(place, wanted, names):
        with _only_process(place.parent):
            if not intact(place, wanted, names):  # no other process made it while this one waited
                if place.exists():
                    log.warning("The files in %s are damaged or of an older version and are made anew.", place)
                _make(place, wanted, names, make)
    return place


def remake(place: Path, wanted: Manifest, names: Sequence[str], make: Callable[[Path], None]) -> None:
    """Put files that `make(folder)` makes into `place`, whatever is there; nothing changes when `make` raises."""
    with _only_process(place.parent):
        _make(place, wanted, names, make)


def intact(place: Path, wanted: Manifest, names: Sequence[str], *, used: Sequence[str] | None = None) -> bool:
    """Whether `place` holds the wanted files `names`, and those that are `used` (None: all) as they were made."""
    try:
        manifest = json.loads((place / _MANIFEST).read_text())
        files = manifest.pop("files")
        if manifest != wanted or set(files) != set(names):
            return False
        with ThreadPoolExecutor() as threads:  # hashing releases the interpreter lock
            names = names if used is None else used
            return list(threads.map(_measure, [place / name for name in names])) == [files[name] for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def sha256(path: Path) -> str:
    """Hex digest of a file; raises OSError when it can't be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _measure(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def _make(place: Path, wanted: Manifest, names: Sequence[str], make: Callable[[Path], None]) -> None:
    """Make the files beside `place` and swap the folders; for the process that holds the models folder."""
    folder = place.parent
    for leftover in folder.glob(f"{_UNFINISHED}*"):  # of a process that was killed
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder, ignore_cleanup_errors=True) as unfinished:
        made = Path(unfinished) / "made"
        made.mkdir()
        make(made)
        files = {name: _measure(made / name) for name in names}
        (made / _MANIFEST).write_text(json.dumps({**wanted, "files": files}, indent=1) + "\n")
        if place.exists():
            place.rename(Path(unfinished) / "replaced")
        made.rename(place)


@contextlib.contextmanager
def _only_process(folder: Path) -> Iterator[None]:
    """Hold `folder` against other processes; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(
        folder / ".lock",
        on_wait=lambda: log.info("Another process is preparing models in %s; waiting for it.", folder),
    ):
        yield
