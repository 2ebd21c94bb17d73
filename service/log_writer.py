"""Writes log lines from a thread of its own, so that a log that nobody reads holds up neither requests nor a stop."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque

MAX_LINES = 10_000
"""Lines that wait at most; what comes beyond is dropped, and counted."""

MAX_WAITING_BYTES = 8 * 2**20
"""What they may take together: a few tracebacks are long."""

FLUSH_LIMIT_S = 2.0
"""Longest that a stop waits for lines to be read."""


class LogWriter(logging.Handler):
    """A handler whose `emit` never waits: it formats a line, and a daemon thread writes it to a descriptor.

    The thread writes to the descriptor itself. Were it stopped inside of `sys.stderr`, it would keep that file's lock,
    and the end of the interpreter would wait for it.
    """

    def __init__(self, descriptor: int = 2, *, max_lines: int = MAX_LINES) -> None:
        """`descriptor` is written to, never closed; a pipe may be closed at its other end, or never be read."""
        super().__init__()
        self.dropped = 0
        """Lines that were not written: more waited than may, or the log is closed at its other end."""
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._told = 0
        self._changed = threading.Condition()
        self._writing = False
        self._closed = False
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        try:
            self.say(self.format(record))
        except Exception:  # noqa: BLE001 - what can't be formatted is logging's business, as in its own handlers
            self.handleError(record)

    def say(self, text: str) -> None:
        """Have a line written as it is, or drop it where too much waits."""
        line = f"{text}\n".encode(errors="backslashreplace")
        with self._changed:
            full = len(self._lines) >= self._max_lines or self._bytes + len(line) > MAX_WAITING_BYTES
            if self._closed or full:
                self.dropped += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all lines are written, for FLUSH_LIMIT_S at most."""
        deadline = time.monotonic() + FLUSH_LIMIT_S
        with self._changed:
            while (self._lines or self._writing) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def close(self) -> None:
        """Likewise, and take no more lines; logging calls it when the program ends."""
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines:
                    if self._closed:
                        return
                    self._changed.wait()
                line = self._lines.popleft()
                self._bytes -= len(line)
                self._writing = True
            written = self._write(line)
            with self._changed:
                self._writing = False
                if not written:
                    self.dropped += 1
                elif self.dropped > self._told:
                    self._tell()
                self._changed.notify_all()

    def _tell(self) -> None:
        """Put a line before those that wait which says how many were dropped since the last such line."""
        lost, self._told = self.dropped - self._told, self.dropped
        record = logging.LogRecord(
            __name__, logging.WARNING, __file__, 0, "Log lines dropped because the log was not read: %d.", (lost,), None
        )
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        self._lines.appendleft(line)
        self._bytes += len(line)

    def _write(self, line: bytes) -> bool:
        """Whether the line could be written; one that can't (EPIPE, a full disk) must not end the thread."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BlockingIOError:  # somebody who shares the descriptor made it so
            time.sleep(0.01)
            return self._write(bytes(rest))
        except OSError:
            return False
        return True
