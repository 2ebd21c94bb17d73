"""Photos are decoded in processes of their own: the same pixels, and whatever a photo does to its process, no more."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.errors import DecodingStopped, FaceServiceError, ImageTooLarge, InvalidImage, Overloaded, UnsupportedFormat
from service.values import Box
from service.vision.cropping import crop, unstacked
from service.vision.decoding.child import DecodingChild
from service.vision.decoding.frames import HEADER, Order
from service.vision.decoding.pool import DecodingPool, Reason
from service.vision.images import accept, readable_formats
from service.vision.orientation import turned
from tests.support import bombs

pytestmark = [pytest.mark.process, pytest.mark.slow]

MAX_PIXELS = 50_000_000


def encode(picture: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def order(photo: bytes, side: int = 2400, reduction: int = 0, max_pixels: int = MAX_PIXELS) -> Order:
    return Order(len(photo), readable_formats(), max_pixels, side, reduction)


async def read(pool: DecodingPool, photo: bytes, **wanted: int) -> Image.Image:
    return (await pool.decode(photo, order(photo, **wanted))).picture()


@pytest.mark.parametrize("orientation", [1, 5, 8])
async def test_faces_are_cut_out_where_the_photo_is(
    pool: DecodingPool, portrait: Image.Image, orientation: int
) -> None:
    """Nothing else travels, and they are those of the whole photo, upright and turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = encode(portrait, "PNG", exif=exif)
    boxes = (Box(30.5, 20.25, 90.0, 110.5), Box(-5.0, 3.0, 64.0, 200.0))
    decoded = await pool.decode(photo, order(photo, reduction=2)._replace(boxes=boxes, rotation=90))
    whole = turned(accept(photo, max_bytes=len(photo), max_pixels=MAX_PIXELS).decode(2), 90)
    assert np.array_equal(unstacked(decoded.picture()), [crop(whole, each) for each in boxes])


def sleeper() -> bytes:
    """Decoding it takes a minute of processor time."""
    return bombs.many_scans(50_000, 3000, 2000)


async def decoding(pool: DecodingPool, photo: bytes) -> tuple[asyncio.Task[Image.Image], int]:
    """A decoding that has begun, and its process."""
    task = asyncio.create_task(read(pool, photo))
    while not pool.pids:  # noqa: ASYNC110 - nobody sets an event there
        await asyncio.sleep(0.01)
    [pid] = pool.pids
    await asyncio.sleep(0.3)
    assert not task.done()
    return task, pid


def is_gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


# Pixels and errors


@pytest.mark.parametrize(
    ("form", "options"),
    [
        *(("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("BMP", {}), ("GIF", {}), ("TIFF", {})),
        *(("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"}), ("WEBP", {}), ("AVIF", {})),
    ],
)
async def test_the_pixels_are_those_that_decoding_here_gives(
    pool: DecodingPool, portrait: Image.Image, form: str, options: dict[str, Any]
) -> None:
    photo = encode(portrait, form, **options)
    here = accept(photo, max_bytes=len(photo), max_pixels=MAX_PIXELS).decode()
    assert np.array_equal(np.asarray(await read(pool, photo)), np.asarray(here))


async def test_a_phones_photo_is_decoded(pool: DecodingPool) -> None:
    """HEIC's reader is there before there are no more files to load it from."""
    pytest.importorskip("pi_heif", reason="needs pi-heif")
    photo = (Path(__file__).parents[1] / "heic" / "turned.heic").read_bytes()
    decoded = await pool.decode(photo, order(photo))
    assert (decoded.size, decoded.reduction, decoded.picture().size) == ((120, 90), 1, (120, 90))


async def test_a_large_photo_comes_reduced_as_it_is_wanted(pool: DecodingPool, portrait: Image.Image) -> None:
    """To the side, or by the reduction that is given; so much less goes from process to process."""
    photo = encode(portrait.resize((1200, 900)), "PNG")
    decoded = await pool.decode(photo, order(photo, side=300))
    assert (decoded.size, decoded.reduction, decoded.picture().size) == ((1200, 900), 4, (300, 225))
    assert (await read(pool, photo, side=300, reduction=2)).size == (600, 450)


@pytest.mark.parametrize(
    ("photo", "error", "sentence"),
    [
        (b"BM or not", UnsupportedFormat, "none of JPEG"),
        (bombs.jpeg(64, 64)[:200], InvalidImage, "damaged"),
        (b"\xff\xd8\xff", InvalidImage, "damaged"),
        (bombs.png(64, 65), ImageTooLarge, "64×65 pixels, more than 4096"),
        (bombs.webp_canvas(), ImageTooLarge, "far too many pixels"),
    ],
)
async def test_what_is_wrong_with_a_photo_is_said_as_ever(
    pool: DecodingPool, photo: bytes, error: type[FaceServiceError], sentence: str
) -> None:
    """And the process goes on to the next."""
    with pytest.raises(error, match=sentence):
        await read(pool, photo, max_pixels=4096)
    pids = pool.pids
    assert (await read(pool, bombs.jpeg(64, 64))).size == (64, 64)
    assert pool.pids == pids


async def test_twenty_at_once_get_each_their_own(pool: DecodingPool) -> None:
    """By two processes."""
    photos = [encode(Image.new("RGB", (20 + each, 30), (each, 0, 0)), "BMP") for each in range(20)]
    found = await asyncio.gather(*(read(pool, photo) for photo in photos))
    assert [(each.width - 20, each.getpixel((0, 0))) for each in found] == [(each, (each, 0, 0)) for each in range(20)]
    assert len(pool.pids) == 2


@pytest.mark.parametrize("name", ["16-bit PNG", "float TIFF", "CMYK JPEG", "overlapping EXIF"])
async def test_a_photo_takes_three_times_the_memory_of_a_usual_one_at_most(name: str) -> None:
    """Of 50 million pixels, also where a pixel has four bytes for each colour; what it took is given back."""
    pool = DecodingPool(1, 60)
    try:
        photo = bombs.CONFINED[name]()
        await read(pool, bombs.jpeg(64, 64))
        [pid] = pool.pids
        before = memory_mb(pid, "VmRSS")
        decoded = await read(pool, photo)
        peak = memory_mb(pid, "VmHWM")
        pixels = 50 if name != "overlapping EXIF" else 2
        assert peak - before < 3 * 4 * pixels + 96
        assert decoded.width in {1250, 1600}
        await read(pool, bombs.jpeg(64, 64))
        assert memory_mb(pid, "VmRSS") - before < 30
    finally:
        await pool.close()


def memory_mb(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("needs Linux's /proc")
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith(field))


async def test_what_libraries_say_about_a_photo_stays_in_its_process(
    pool: DecodingPool, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Libtiff has a line for each of 30,000 rows of a fax."""
    decoded = await read(pool, bombs.talkative_tiff())
    assert decoded.height > decoded.width
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


async def test_large_photos_are_decoded_one_at_a_time(pool: DecodingPool) -> None:
    """Two processes never have the memory of two; a small photo needn't wait for them."""
    await asyncio.gather(*(read(pool, bombs.jpeg(64, 64)) for _ in range(2)))
    photo = bombs.png(6000, 4000)
    before = sum(memory_mb(pid, "VmRSS") for pid in pool.pids)
    alone_mb = 4 * 6000 * 4000 / 2**20
    tasks = [asyncio.create_task(read(pool, photo)) for _ in range(2)]
    highest = 0.0
    while not all(task.done() for task in tasks):
        highest = max(highest, sum(memory_mb(pid, "VmRSS") for pid in pool.pids) - before)
        await asyncio.sleep(0.01)
    assert [task.result().size for task in tasks] == [(1500, 1000)] * 2
    assert highest < 1.9 * alone_mb


# Processes that end


async def test_decoding_that_takes_too_long_is_stopped_and_the_next_photo_is_decoded(
    pool: DecodingPool, reasons: list[Reason]
) -> None:
    photo = sleeper()
    with pytest.raises(DecodingStopped, match="more than 2 s"):
        await read(pool, photo)
    assert reasons == ["deadline"]
    assert (await read(pool, bombs.jpeg(64, 64))).size == (64, 64)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS])
async def test_a_process_that_crashes_costs_its_own_photo_alone(
    pool: DecodingPool, reasons: list[Reason], number: signal.Signals
) -> None:
    """As a reader's bug would have it, or a system without memory."""
    task, pid = await decoding(pool, sleeper())
    beside = asyncio.create_task(read(pool, bombs.jpeg(64, 64)))
    os.kill(pid, number)
    with pytest.raises(DecodingStopped, match="made its reader fail"):
        await task
    assert (await beside).size == (64, 64)
    assert reasons == ["crash"]
    assert is_gone(pid)


async def test_a_process_that_died_while_idle_costs_nothing(pool: DecodingPool, reasons: list[Reason]) -> None:
    await read(pool, bombs.jpeg(64, 64))
    [pid] = pool.pids
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert (await read(pool, bombs.jpeg(64, 64))).size == (64, 64)
    assert reasons == []


async def test_nobody_decodes_for_a_caller_who_left(pool: DecodingPool, reasons: list[Reason]) -> None:
    task, pid = await decoding(pool, sleeper())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reasons == ["left"]
    assert is_gone(pid)
    assert (await read(pool, bombs.jpeg(64, 64))).size == (64, 64)


async def test_callers_who_leave_at_any_moment_break_nothing_for_the_others(pool: DecodingPool) -> None:
    """Also while the processes start."""
    photo = encode(Image.new("RGB", (800, 600), "red"), "BMP")
    for pause_ms in (0, 1, 5, 20, 100, 400):
        tasks = [asyncio.create_task(read(pool, photo)) for _ in range(6)]
        await asyncio.sleep(pause_ms / 1000)
        for task in tasks[::2]:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, Image.Image) for each in found[1::2]), found


async def test_closing_ends_all_processes_at_once(reasons: list[Reason]) -> None:
    """Who waits gets an error; nothing counts as stopped."""
    pool = DecodingPool(1, 60, reasons.append)
    task, pid = await decoding(pool, sleeper())
    waiting = asyncio.create_task(read(pool, bombs.jpeg(64, 64)))
    await asyncio.sleep(0)
    began = time.monotonic()
    await pool.close()
    assert time.monotonic() - began < 1
    found = await asyncio.gather(task, waiting, return_exceptions=True)
    assert [type(each) for each in found] == [Overloaded, Overloaded]
    assert is_gone(pid)
    assert reasons == []


async def test_closing_while_the_first_process_starts_leaves_none() -> None:
    pool = DecodingPool(1, 60)
    pool.start()
    await asyncio.sleep(0.05)
    await pool.close()
    with pytest.raises(Overloaded):
        await read(pool, bombs.jpeg(64, 64))
    assert pool.pids == []


async def test_the_first_process_is_started_where_there_is_none_yet(pool: DecodingPool) -> None:
    """Asked again, while it starts or afterwards, or once the pool is closed, there is no second one."""
    pool.start_first()
    pool.start_first()
    await read(pool, bombs.jpeg(64, 64))
    [first] = pool.pids
    pool.start_first()
    await read(pool, bombs.jpeg(64, 64))
    assert pool.pids == [first]
    await pool.close()
    pool.start_first()
    assert pool.pids == []


SAID = {
    "no JSON": (b"{" * 5, ValueError),
    "something else": (b'{"picture": [1, 1]}', ValueError),
    "other types": (b'[[1, 1], 1, ["1", 1], "", ""]', ValueError),
    "a picture larger than any photo": (b'[[1, 1], 1, [9000, 9000], "", ""]', ValueError),
    "a picture of no size": (b'[[1, 1], 1, [-9, -9], "", ""]', ValueError),
    "an empty picture": (b'[[1, 1], 1, [0, 5], "", ""]', ValueError),
}


@pytest.mark.parametrize("name", SAID)
async def test_what_a_process_says_must_make_sense(name: str) -> None:
    """A photo may have taken it over."""
    text, error = SAID[name]
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = await asyncio.create_subprocess_exec("sleep", "60")
    child = DecodingChild(process, ours)
    with theirs:
        theirs.sendall(HEADER.pack(len(text)) + text)
        with pytest.raises(error):
            await child.ask(b"photo", order(b"photo"))
    assert await child.kill() == -signal.SIGKILL


async def test_an_endless_answer_is_not_read() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = await asyncio.create_subprocess_exec("sleep", "60")
    child = DecodingChild(process, ours)
    with theirs:
        theirs.sendall(HEADER.pack(2**31) + b"[" * 1000)
        with pytest.raises(ValueError, match="too long"):
            await child.ask(b"photo", order(b"photo"))
    await child.kill()
