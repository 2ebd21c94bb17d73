"""Takes from a decoding process what decoding doesn't need, before it sees the first photo.

What a reader's bug could be used for is then small: no files, no programs, no core dumps with other people's photos, no
more memory or processor time than a photo of that size needs. Nothing here needs rights, and what a system doesn't
have is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys

NICENESS = 10
"""Whoever waits for an ordinary photo goes first: a photo here gets a tenth of a processor at least."""

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
"""System calls of Linux 5.13 and later, under the same numbers on every processor."""
_LANDLOCK_VERSION = 1
_FILES = (13, 14, 15, 15, 16)
"""How many rights about files each version of Landlock knows, from the first on; all of them are taken."""
_NETWORK_SINCE = 4
_CONNECT_AND_BIND = 3


def die_with(parent: int) -> None:
    """End this process when the thread that started it ends, also by SIGKILL."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; when to leave is for the service to say
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before
        os._exit(0)


def confine(descriptors: int) -> None:
    """Give up all that decoding doesn't need, with so many file descriptors left."""
    os.nice(NICENESS)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _shut_off_files()
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, descriptors),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


class MemoryLimit:
    """How much memory this process may have; made while it may still open files."""

    def __init__(self) -> None:
        self._now = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC) if sys.platform == "linux" else None

    def allow(self, extra: int) -> None:
        """Let this process have `extra` bytes more than it has now; beyond, allocating raises MemoryError."""
        if self._now is not None:
            pages = int(os.pread(self._now, 100, 0).split()[0])
            _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + extra)


def allow_processor_time(seconds: float) -> None:
    """Let this process run for so long from now on, rounded up to whole seconds; then SIGXCPU ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 1)


def _lower(kind: int, limit: int) -> None:
    """Set a limit that can be raised again, within what this process may have at all."""
    _, highest = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit if highest == resource.RLIM_INFINITY else min(limit, highest), highest))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _shut_off_files() -> None:
    """Open no file any more and connect to nothing over TCP, where the kernel has Landlock."""
    if sys.platform != "linux":
        return
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return
    files = (1 << _FILES[min(version, len(_FILES)) - 1]) - 1
    rules = struct.pack("QQ", files, _CONNECT_AND_BIND) if version >= _NETWORK_SINCE else struct.pack("Q", files)
    descriptor = call(_LANDLOCK_CREATE_RULESET, rules, len(rules), 0)
    if descriptor >= 0:
        call(_LANDLOCK_RESTRICT_SELF, descriptor, 0)
        os.close(descriptor)
