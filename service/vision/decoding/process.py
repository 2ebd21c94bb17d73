"""A process that decodes photos which may harm it, run as `python -m service.vision.decoding.process …`.

Orders (frames.Order) and photos come in on the socket, one after another; answers (frames.Answer) leave there. Then the
service sends shared memory of the size of the picture, which is filled row by row. The end of the socket is the end of
the process.
"""

from __future__ import annotations

import fcntl
import gc
import mmap
import os
import socket
import sys
import traceback
from importlib import import_module

from PIL import Image

from service.errors import FaceServiceError, ImageTooLarge
from service.memory import return_memory
from service.values import Box
from service.vision.cropping import stacked
from service.vision.decoding.confinement import MemoryLimit, allow_processor_time, confine, die_with
from service.vision.decoding.frames import HEADER, READY, Answer, Order, pack, read_order
from service.vision.images import accept, readable_formats

BYTES_A_PIXEL = 12
"""Three times what Pillow needs for a pixel of a usual photo: of the reader's, the converted and the turned picture."""
SPARE_MEMORY = 96 * 2**20
"""What readers need for a photo of any size."""
CONTENT_TIMES = 4
"""How often a photo's bytes may be held."""

ALONE_PIXELS = 12_500_000
"""Beyond, photos are decoded one at a time, so that what they take doesn't add up; phones' usual ones have 12.2."""

DESCRIPTORS = 16
ROWS_BYTES = 2**20
"""Of the rows that are copied into the shared memory at a time."""

_READERS = ("Jpeg", "Mpo", "Png", "Bmp", "Gif", "Tiff", "WebP", "Avif")


def serve(connection: socket.socket, memory: MemoryLimit, large: int, processor_s: float) -> None:
    """Decode one photo after another until the other end is closed; each has so many seconds of processor time.

    A large one of a service is decoded while no other process has locked the file descriptor `large`.
    """
    while (head := _receive(connection, HEADER.size)) is not None:
        order = read_order(_all(connection, HEADER.unpack(head)[0]))
        memory.allow(SPARE_MEMORY + (CONTENT_TIMES + 1) * order.length)
        allow_processor_time(processor_s)
        content = _all(connection, order.length)
        answer, picture = _attempt(content, order, memory, large)
        connection.sendall(pack(answer))
        if picture is not None:
            _hand_over(connection, picture)
        del content, picture
        gc.collect()  # what Pillow ties in circles holds the photo
        fcntl.lockf(large, fcntl.LOCK_UN)


def _attempt(content: bytes, order: Order, memory: MemoryLimit, large: int) -> tuple[Answer, Image.Image | None]:
    """The picture, or what is wrong with the photo in its stead."""
    try:
        photo = accept(content, max_bytes=order.length, max_pixels=order.max_pixels, formats=order.formats)
        reduction = order.reduction or photo.reduction_to(order.side)
        pixels = photo.size[0] * photo.size[1]
        if pixels > ALONE_PIXELS:
            fcntl.lockf(large, fcntl.LOCK_EX)
        memory.allow(SPARE_MEMORY + CONTENT_TIMES * order.length + BYTES_A_PIXEL * pixels)
        if order.boxes:
            picture = stacked(photo.crops([Box(*each) for each in order.boxes], reduction, order.rotation))
        else:
            picture = photo.decode(reduction)
    except FaceServiceError as error:
        return Answer(error=type(error).__name__, sentence=str(error)), None
    except MemoryError:
        sentence = "The image needs more memory than a photo of its size; save it as JPEG."
        return Answer(error=ImageTooLarge.__name__, sentence=sentence), None
    except Exception as error:  # noqa: BLE001 - the service logs it; this process is none the worse for it
        return Answer(error="", sentence=f"{type(error).__name__}: {error}"[:500]), None
    return Answer(photo.size, reduction, picture.size), picture


def _hand_over(connection: socket.socket, picture: Image.Image) -> None:
    """Write the picture's rows into the shared memory that comes for it."""
    _, [descriptor], *_ = socket.recv_fds(connection, 1, 1)
    try:
        with mmap.mmap(descriptor, picture.width * picture.height * 3) as shared:
            rows = max(1, ROWS_BYTES // (picture.width * 3))
            for top in range(0, picture.height, rows):
                part = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
                shared.write(part.tobytes())
    finally:
        os.close(descriptor)
    connection.sendall(READY)


def _receive(connection: socket.socket, size: int) -> bytes | None:
    """So many bytes; None where the other end was closed before the first."""
    content = bytearray(size)
    view, got = memoryview(content), 0
    while got < size:
        more = connection.recv_into(view[got:])
        if more == 0:
            return None
        got += more
    return bytes(content)


def _all(connection: socket.socket, size: int) -> bytes:
    content = _receive(connection, size)
    if content is None:
        raise EOFError
    return content


def _load_readers() -> None:
    """All that decoding may ever import, while there are still files."""
    for each in _READERS:
        import_module(f"PIL.{each}ImagePlugin")
    Image.preinit()
    vars(import_module("PIL.AvifImagePlugin"))["DEFAULT_MAX_THREADS"] = 1
    if "HEIF" in readable_formats():
        import_module("pi_heif").options.DECODE_THREADS = 1


def main(descriptor: int, large: int, parent: int, processor_s: float) -> None:
    """Say that it is ready, and serve until the service closes the socket or is gone."""
    die_with(parent)
    return_memory()
    connection = socket.socket(fileno=descriptor)
    _load_readers()
    memory, our_errors = MemoryLimit(), os.dup(2)
    nowhere = os.open(os.devnull, os.O_RDWR)  # libraries write what they please about what strangers send
    for each in (0, 1, 2):
        os.dup2(nowhere, each)
    os.close(nowhere)
    gc.freeze()
    confine(DESCRIPTORS)
    connection.sendall(READY)
    try:
        serve(connection, memory, large, processor_s)
    except (EOFError, ConnectionError):
        pass  # the service is gone
    except Exception:
        os.write(our_errors, traceback.format_exc().encode())
        raise


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
