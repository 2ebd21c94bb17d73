"""How many processors this process may use: what the scheduler's affinity and a container's limit leave of them."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from service.settings import Settings


def model_threads(settings: Settings) -> int:
    """Threads for the models: FACE_THREADS, or one for each processor that may be used."""
    return settings.threads or usable_processors()


def usable_processors(root: Path = Path("/")) -> int:
    """Processors that this process may use, at least 1; `root` holds the /proc and /sys that name a limit.

    A limit of time counts as processors, rounded up: 1.5 processors are 2. A photo's burst of work then runs side by
    side and ends sooner, and under load the kernel holds the threads to the limit anyway; rounded down, a third of what
    is allowed would never be used.
    """
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min([available, *(math.ceil(limit) for limit in _limits(root))]))


def _limits(root: Path) -> Iterator[float]:
    """Processors' worth of time that each control group around this process allows, of cgroup v2 and of v1."""
    for controllers, group in _groups(root):
        if controllers == "":
            folder, read = root / "sys/fs/cgroup", _limit_v2
        elif "cpu" in controllers.split(","):
            folder, read = root / "sys/fs/cgroup/cpu", _limit_v1
        else:
            continue
        # Inside a container the group's own name may be the host's, but what limits the container lies at the top.
        for place in (group, *group.parents):
            try:
                limit = read(folder / place.relative_to("/"))
            except (OSError, ValueError, ZeroDivisionError):
                continue
            if limit is not None:
                yield limit


def _groups(root: Path) -> list[tuple[str, PurePosixPath]]:
    """Controllers, separated by commas, and name of each control group of this process; v2's has no controllers."""
    try:
        text = (root / "proc/self/cgroup").read_text("utf-8")
    except OSError:
        return []
    groups = re.findall(r"^[^:\n]*:([^:\n]*):(.*)$", text, re.MULTILINE)
    return [(controllers, PurePosixPath(name)) for controllers, name in groups]


def _limit_v2(folder: Path) -> float | None:
    """`cpu.max` is `150000 100000`: microseconds of processor time in each period of so many; or `max 100000`."""
    time_us, period_us = (folder / "cpu.max").read_text("utf-8").split()
    return None if time_us == "max" else int(time_us) / int(period_us)


def _limit_v1(folder: Path) -> float | None:
    """The same in two files; a time of -1 is no limit."""
    time_us, period_us = (int((folder / f"cpu.cfs_{name}_us").read_text("utf-8")) for name in ("quota", "period"))
    return None if time_us < 0 else time_us / period_us
