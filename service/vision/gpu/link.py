"""Asks the GPU's process: a detector and an embedder as the engine wants them, from any thread of any process."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from service.errors import Overloaded
from service.values import Detection, Rgb
from service.vision.area_scaling import MAX_SIDE
from service.vision.gpu.messages import (
    KEPT_BYTES,
    Answer,
    Kind,
    Outcome,
    SharedMemory,
    is_searched_whole,
    receive_answer,
    send_request,
    unpack_detections,
)

CONNECT_LIMIT_S = 30.0
"""For so long it is tried to reach a process that may just be starting again."""
_RETRY_S = 0.2
_CROPS_OF_A_REQUEST = 256
_LEAST_BYTES = 2**18
_DIMENSION = 512


class GpuLink:
    """One connection to the process at `address`, made when first needed, and anew where the process was replaced."""

    def __init__(self, address: str, *, limit_s: float = CONNECT_LIMIT_S) -> None:
        self._address = address
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._open: _OpenLink | None = None

    @property
    def memory_bytes(self) -> int:
        """What the process held of the GPU's memory when it last answered."""
        return self._open.memory_bytes if self._open else 0

    def ask(self, kind: Kind, pixels: NDArray[np.uint8]) -> bytes:
        """The answer's numbers. Raises Overloaded where the GPU's memory is full or its process can't be reached.

        Asked again once where the process ended meanwhile: another photo may have been the cause. RuntimeError where
        the process could not compute it.
        """
        try:
            answer = self._connected().ask(kind, pixels)
        except EOFError:
            try:
                answer = self._connected().ask(kind, pixels)
            except EOFError:
                raise Overloaded("The GPU's process has ended; try again in a moment.") from None
        if answer.outcome is Outcome.OVERLOADED:
            raise Overloaded(answer.content.decode())
        if answer.outcome is Outcome.FAILED:
            raise RuntimeError(f"The GPU's process failed: {answer.content.decode('utf-8', 'replace')}")
        return answer.content

    def close(self) -> None:
        """Whoever still waits gets Overloaded."""
        if self._open:
            self._open.close()

    def _connected(self) -> _OpenLink:
        with self._lock:
            if self._open is None or self._open.has_ended:
                self._open = _OpenLink(_connect(self._address, self._limit_s))
            return self._open


def _connect(address: str, limit_s: float) -> Connection:
    """A connection whose other end has said that it is alive. Raises Overloaded where none does within that time."""
    until = time.monotonic() + limit_s
    while True:
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.connect(address)
            connection = Connection(opened.detach())
            if not connection.poll(max(0.0, until - time.monotonic())):
                raise TimeoutError
            receive_answer(connection)
        except (EOFError, OSError):
            opened.close()
            if time.monotonic() > until:
                raise Overloaded("The GPU's process can't be reached; see the service's log.") from None
            time.sleep(_RETRY_S)
        else:
            return connection


class _OpenLink:
    """A connection, and a thread that hands its answers to those who wait for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: dict[int, Future[Answer]] = {}
        self._asked = 0
        self._numbers = 0
        self._free: list[SharedMemory | int] = []
        """Memory that nobody uses just now, or only the number of what was."""
        self._lock = threading.Lock()
        self.has_ended = False
        self.memory_bytes = 0
        threading.Thread(target=self._hand_out, name="gpu-answers", daemon=True).start()

    def ask(self, kind: Kind, pixels: NDArray[np.uint8]) -> Answer:
        """Raises EOFError where the other end is gone."""
        answer: Future[Answer] = Future()
        memory = self._memory_for(pixels.size)
        memory.write(pixels)
        with self._lock:
            if self.has_ended:
                raise EOFError
            self._asked += 1
            self._waiting[self._asked] = answer
            try:
                send_request(self._connection, self._asked, kind, memory, pixels.shape)
            except OSError:
                raise EOFError from None
        try:
            return answer.result()
        finally:
            with self._lock:
                self._free.append(memory if memory.size <= KEPT_BYTES else memory.number)

    def _memory_for(self, size: int) -> SharedMemory:
        """Memory that nobody uses just now: one from before, or new memory, under a number that is free."""
        with self._lock:
            if self.has_ended:
                raise EOFError
            if self._free:
                free = self._free.pop()
            else:
                free, self._numbers = self._numbers, self._numbers + 1
            if isinstance(free, SharedMemory) and free.size >= size:
                return free
            number = free.number if isinstance(free, SharedMemory) else free
            memory = SharedMemory(number, max(size, _LEAST_BYTES))
            try:
                memory.share(self._connection)
            except OSError:
                raise EOFError from None
            return memory

    def close(self) -> None:
        """Ends the thread too."""
        with self._lock:
            if not self.has_ended:
                hang_up(self._connection)

    def _hand_out(self) -> None:
        try:
            while True:
                answer = receive_answer(self._connection)
                self.memory_bytes = answer.memory_bytes
                self._waiting.pop(answer.number).set_result(answer)
        except (EOFError, OSError):
            pass
        with self._lock:  # nobody sends any more
            self.has_ended = True
            self._connection.close()
        for each in self._waiting.values():
            each.set_exception(EOFError())


def hang_up(connection: Connection) -> None:
    """Both ends read the end of it; closed alone, it would stay open as long as another thread reads from it."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as opened:
        opened.shutdown(socket.SHUT_RDWR)


class GpuDetector:
    """MTCNN in the GPU's process. See FaceDetector."""

    def __init__(self, link: GpuLink, *, min_face: int) -> None:
        """`min_face` as the process has it."""
        self._link = link
        self.min_face = min_face

    def warm(self) -> None:
        """The process was, before it listened."""

    def detect(self, photo: Rgb) -> list[Detection]:
        """See FaceDetector.detect; raises what GpuLink.ask raises."""
        if not is_searched_whole(photo, MAX_SIDE):  # every other pixel is enough for such a photo
            return [each.scaled(2) for each in self.detect(photo[::2, ::2])]
        return unpack_detections(self._link.ask(Kind.DETECT, photo))


class GpuEmbedder:
    """FaceNet in the GPU's process. See Embedder."""

    def __init__(self, link: GpuLink) -> None:
        self._link = link

    def warm(self) -> None:
        """The process was, before it listened."""

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Embedder.embed; raises what GpuLink.ask raises."""
        parts = [crops[start : start + _CROPS_OF_A_REQUEST] for start in range(0, len(crops), _CROPS_OF_A_REQUEST)]
        answers = [np.frombuffer(self._link.ask(Kind.EMBED, part), np.float32) for part in parts]
        return np.concatenate(answers).reshape(-1, _DIMENSION)
