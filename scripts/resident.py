"""How much memory a process and all below it take, for what measures services."""

from __future__ import annotations

import re
from pathlib import Path


def resident_mb(pid: int) -> float:
    """Resident megabytes of a process and of every one below it, from /proc (Linux); none of those that are gone."""
    return sum(map(_own_mb, _family(pid)))


def _family(pid: int) -> list[int]:
    children = _read(f"/proc/{pid}/task/{pid}/children").split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _own_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", _read(f"/proc/{pid}/status"))
    return int(found[1]) / 1024 if found else 0.0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # the process is gone
        return ""
