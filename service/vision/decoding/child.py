"""One decoding process, seen from the service: it is given a photo at a time, and killed when it takes too long."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from service.child_modules import command
from service.values import CROP_SIDE
from service.vision.decoding.frames import HEADER, MAX_ANSWER, READY, Answer, Order, pack, read_answer

START_LIMIT_S = 60.0
"""Starting takes a quarter of a second on an idle machine."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A photo that another process decoded: its size before it is turned upright, the reduction, and its pixels."""

    size: tuple[int, int]
    reduction: int
    shape: tuple[int, int]
    """Width and height of the picture."""
    pixels: mmap.mmap

    def picture(self) -> Image.Image:
        """A picture of its own; the shared memory is given back. Takes milliseconds, so a worker thread does it."""
        try:
            width, height = self.shape
            return Image.fromarray(np.frombuffer(self.pixels, np.uint8).reshape(height, width, 3))
        finally:
            self.pixels.close()


class DecodingChild:
    """Owns the process and its socket; one call at a time."""

    def __init__(self, process: Process, connection: socket.socket) -> None:
        self._process = process
        self._connection = connection

    @classmethod
    async def start(cls, processor_s: float, large: int) -> DecodingChild:
        """One that is ready, and may use so many seconds of processor time for each photo. Raises OSError.

        `large` is a file descriptor that it locks while it decodes a large photo.
        """
        launching = asyncio.ensure_future(cls._launch(processor_s, large))
        try:
            self = await asyncio.shield(launching)
        except asyncio.CancelledError:
            await (await launching).kill()  # half started, it would be nobody's
            raise
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await self._read(len(READY))
        except BaseException as error:
            await self.kill()
            if isinstance(error, TimeoutError | EOFError | ConnectionError):
                raise OSError("it did not get ready") from error
            raise
        return self

    @classmethod
    async def _launch(cls, processor_s: float, large: int) -> DecodingChild:
        """One that may not be ready yet."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - as asyncio wants it
        with theirs:
            numbers = (theirs.fileno(), large, os.getpid(), processor_s)
            run = command("service.vision.decoding.process", *map(str, numbers))
            # Nothing of the service's environment, which has its secrets.
            path = os.pathsep.join(each for each in sys.path if Path(each).is_absolute())
            environment = {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
            try:
                process = await asyncio.create_subprocess_exec(
                    *run, stdin=DEVNULL, stdout=DEVNULL, pass_fds=[theirs.fileno(), large], env=environment
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it is still there."""
        return self._process.returncode is None

    async def ask(self, photo: bytes, order: Order) -> tuple[Answer, Decoded | None]:
        """The answer, and the pixels where it isn't an error's.

        Raises EOFError, ConnectionError or ValueError where the process died or says what makes no sense; it must be
        killed then, and after a cancellation.
        """
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._connection, pack(order))
        await loop.sock_sendall(self._connection, photo)
        length = HEADER.unpack(await self._read(HEADER.size))[0]
        if length > MAX_ANSWER:
            raise ValueError("the answer is too long")
        answer = read_answer(await self._read(length))
        if answer.error or answer.sentence:
            return answer, None
        return answer, await self._fetch(answer, order)

    def terminate(self) -> None:
        """Have it end at once; a call of `ask` raises EOFError then."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def kill(self) -> int:
        """End it in any case, while nothing is asked of it; how it ended."""
        self.terminate()
        status = await self._process.wait()
        self._connection.close()
        return status

    async def ended(self) -> int:
        """How a process that closed its socket ended; it is killed if it hasn't a moment later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._process.wait()
        return await self.kill()

    async def _fetch(self, answer: Answer, order: Order) -> Decoded:
        width, height = answer.picture
        if order.boxes and (width, height) != (CROP_SIDE, CROP_SIDE * len(order.boxes)):
            raise ValueError("these are not the crops that were asked for")
        if (not order.boxes and not 0 < width * height <= max(order.max_pixels, 1)) or min(width, height) < 0:
            raise ValueError("the picture is larger than the photo")
        descriptor = shared_memory(width * height * 3)
        try:
            socket.send_fds(self._connection, [READY], [descriptor])
            await self._read(len(READY))
            pixels = mmap.mmap(descriptor, width * height * 3)
        finally:
            os.close(descriptor)
        return Decoded(answer.size, answer.reduction, answer.picture, pixels)

    async def _read(self, size: int) -> bytes:
        content, loop = b"", asyncio.get_running_loop()
        while len(content) < size:
            more = await loop.sock_recv(self._connection, size - len(content))
            if not more:
                raise EOFError
            content += more
        return content


def shared_memory(size: int) -> int:
    """A descriptor of memory that two processes may map, and whose size neither can change."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    import fcntl

    descriptor = os.memfd_create("photo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def was_out_of_time(status: int) -> bool:
    """Whether a process ended because its processor time was used up."""
    return status == -signal.SIGXCPU
