"""Since when something of removed faces may be on an embedded gallery's disk: a file that outlives the process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from service.files import replace_file
from service.values import Erasure

NAME = "erasure.json"


class ErasureFile:
    """The file in a gallery's folder; only the owner of the folder may have one."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """One that is missing or can't be read stands for a gallery of which nothing is known."""
        self._path = folder / NAME
        self._clock = clock
        self._is_kept = True
        self.state = self._read()

    def note(self) -> None:
        """Something is about to be removed; on disk once it returns. Raises OSError."""
        if self.state.pending_since is None:
            self._write(Erasure(self._clock(), self.state.erased_at))
        elif not self._is_kept:
            self._write(self.state)

    def settle(self, since: float | None) -> None:
        """Nothing of what was removed before `since` is there any more; None: nothing at all. Raises OSError."""
        self._write(Erasure(since, self._clock()))

    def pending_s(self) -> float | None:
        """For how long something has been there, None for nothing; a clock that was put back begins anew.

        Raises OSError.
        """
        since, now = self.state.pending_since, self._clock()
        if since is not None and (since > now or not self._is_kept):
            since = min(since, now)
            self._write(Erasure(since, self.state.erased_at))
        return None if since is None else now - since

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def _read(self) -> Erasure:
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            times = [None if kept[name] is None else float(kept[name]) for name in ("pending_since", "erased_at")]
            return Erasure(*times)
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            # An older version's gallery, whose removed faces are all still there.
            self._is_kept = False
            return Erasure(self._clock(), None)

    def _write(self, state: Erasure) -> None:
        text = {"pending_since": state.pending_since, "erased_at": state.erased_at}
        replace_file(self._path, json.dumps(text) + "\n")
        self.state, self._is_kept = state, True
