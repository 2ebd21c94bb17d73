"""Starts the GPU's process, and another one where it has ended by itself."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from service.child_modules import command
from service.errors import ModelUnavailable
from service.retry import Backoff
from service.vision.gpu.process import READY, Options

log = logging.getLogger(__name__)

START_LIMIT_S = 300.0
"""A driver that hangs would hold up the service for ever."""
STOP_LIMIT_S = 20.0
MIN_LIFE_S = 60.0
"""One that ended sooner after its start is replaced after a pause: the next one may do the same."""

RESTARTS = Backoff(first_s=1.0, longest_s=60.0)
"""The pauses between such starts."""


class GpuProcess:
    """The process and its socket, in a folder that only this user may enter; it ends with its starter at the latest."""

    def __init__(self, options: Options) -> None:
        """Start it, with an address of its own, which takes seconds.

        Raises ModelUnavailable where it does not start, with the reason.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="face-gpu-"))
        self._options = replace(options, address=str(self._folder / "socket"))
        self._closing = threading.Event()
        try:
            self._process = _started(self._options)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._watcher = threading.Thread(target=self._watch, name="gpu-process", daemon=True)
        self._watcher.start()

    @property
    def address(self) -> str:
        """Of its socket, the same for each process that replaces another."""
        return self._options.address

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def close(self) -> None:
        """Let it finish what it does and end; kill it if it doesn't."""
        self._closing.set()
        _close_streams(self._process)
        self._watcher.join(STOP_LIMIT_S)
        if self._watcher.is_alive():
            log.warning("The GPU's process did not leave within %g s and is killed.", STOP_LIMIT_S)
            self._process.kill()
            self._watcher.join(STOP_LIMIT_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self) -> None:
        """Start another one whenever it has ended, after a pause where that is not the first time in a row."""
        failures, began = 0, time.monotonic()
        while True:
            status = self._process.wait()
            if self._closing.is_set():
                return
            log.error("The GPU's process has ended (status %d) and is started again.", status)
            _close_streams(self._process)
            failures = failures + 1 if time.monotonic() - began < MIN_LIFE_S else 0
            while not self._started_again(failures):
                failures += 1
            began = time.monotonic()
            if self._closing.is_set():
                _close_streams(self._process)

    def _started_again(self, failures: int) -> bool:
        """Whether it could be started, or needn't be any more."""
        if self._closing.wait(RESTARTS.pause_s(failures) if failures else 0.0):
            return True
        try:
            self._process = _started(self._options)
        except ModelUnavailable as error:
            log.error("%s", error)
            return False
        return True


def _started(options: Options) -> subprocess.Popen[str]:
    """Raises ModelUnavailable where it ends or refuses before it listens."""
    # In a session of its own: Ctrl-C, which reaches a whole group, is for the starter, who still needs it to finish.
    run = command("service.vision.gpu.process", options.to_json())
    process = subprocess.Popen(  # noqa: S603
        run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None  # noqa: S101 - as it was asked for
    limit = threading.Timer(START_LIMIT_S, process.kill)
    limit.start()
    try:
        said = process.stdout.readline().strip()
    finally:
        limit.cancel()
    if said == READY:
        return process
    _close_streams(process)
    process.wait()
    raise ModelUnavailable(f"The GPU can't be used: {said or 'its process ended at once; its errors are above'}")


def _close_streams(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
