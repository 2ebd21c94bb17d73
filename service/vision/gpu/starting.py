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

from service.child_processes import command_of
from service.errors import ModelUnavailable
from service.vision.gpu.process import READY, Options

log = logging.getLogger(__name__)

MIN_LIFE_S = 30.0
"""A process that ended sooner after its start isn't replaced: the next one would do the same."""


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
        """Let it finish what it does and end."""
        self._closing.set()
        _close_streams(self._process)
        self._watcher.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self) -> None:
        began = time.monotonic()
        while True:
            status = self._process.wait()
            if self._closing.is_set():
                return
            log.error("The GPU's process has ended (status %d).", status)
            _close_streams(self._process)
            if time.monotonic() - began < MIN_LIFE_S:
                log.error("It had just been started and is not started again; photos are refused until a restart.")
                return
            began = time.monotonic()
            try:
                self._process = _started(self._options)
            except ModelUnavailable as error:
                log.error("%s", error)
                return
            if self._closing.is_set():
                _close_streams(self._process)


def _started(options: Options) -> subprocess.Popen[str]:
    """Raises ModelUnavailable where it ends or refuses before it listens."""
    # In a session of its own: Ctrl-C, which reaches a whole group, is for the starter, who still needs it to finish.
    command = command_of("service.vision.gpu.process", options.to_json())
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None  # noqa: S101 - as it was asked for
    said = process.stdout.readline().strip()
    if said == READY:
        return process
    _close_streams(process)
    process.wait()
    raise ModelUnavailable(f"The GPU can't be used: {said or 'its process ended at once; its errors are above'}")


def _close_streams(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
