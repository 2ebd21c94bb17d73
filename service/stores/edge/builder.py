"""The gallery's end of the process that makes a shard beside the one in use; no call of it waits, unless it says so."""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.child_modules import command
from service.errors import StoreUnavailable
from service.stores.edge.frames import FrameReader, pack

_PIPE_BYTES = 1 << 20
"""What a pipe holds at most, where the system lets us ask: a whole page of faces is handed over in one go."""

_WAIT_S = 60.0


class Builder:
    """Runs from the constructor to `close`; does one order after another."""

    def __init__(self, folder: Path, dimension: int) -> None:
        run = command("service.stores.edge.building", str(folder), str(dimension), str(os.getpid()))
        orders, self._orders = os.pipe()
        received, answers = os.pipe()
        try:
            self._process = subprocess.Popen(run, stdin=orders, stdout=answers)  # noqa: S603 - our own module
        finally:
            os.close(orders)
            os.close(answers)
        self._pipes: tuple[int, ...] = (self._orders, received)
        self._answers = FrameReader(received)
        os.set_blocking(self._orders, False)
        with suppress(OSError, AttributeError):
            fcntl.fcntl(self._orders, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._unsent = memoryview(b"")
        self._owes = False

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def order(self, name: str, *arguments: Any) -> None:
        """Give an order, a method of building.Draft; the former one must be done."""
        self._unsent = memoryview(pack((name, arguments)))
        self._owes = True
        self._send()

    def done(self) -> bool:
        """Whether it has nothing to do; its answer is then in `value`. Raises StoreUnavailable where that failed."""
        self._send()
        if not self._owes:
            return True
        if self._unsent or not self._answers.ready(0):
            return False
        answer: tuple[bool, Any] | None = self._answers.read()
        if answer is None:
            raise StoreUnavailable("The process that makes the new shard has ended.")
        self._owes = False
        went_well, self.value = answer
        if not went_well:
            raise StoreUnavailable(f"The new shard can't be made: {self.value}.")
        return True

    def wait(self) -> Any:
        """Wait for the answer to the last order."""
        while not self.done():
            if not self._answers.ready(0.01 if self._unsent else _WAIT_S):
                if self._unsent:
                    continue
                raise StoreUnavailable(f"The process that makes the new shard gave no answer within {_WAIT_S:g} s.")
        return self.value

    def close(self) -> None:
        """End the process, whatever it does; safe to call twice."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes = ()

    value: Any = None
    """The last answer."""

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._orders, self._unsent) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._unsent = memoryview(b"")  # its end is read in the place of an answer
