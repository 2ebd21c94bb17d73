"""A log that nobody reads, or that is closed, holds nothing up and loses no more than it must."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import ClientSession

from service.http.log_metrics import DroppedLines
from service.log_writer import LogWriter
from tests.conftest import MODELS
from tests.support.processes import launch, listening, until

SMALL_PIPE_BYTES = 4096


class Pipe(NamedTuple):
    """The end that is read, the end that is written, and who writes there."""

    read: int
    write: int
    writers: list[LogWriter]

    def writer(self, **options: int) -> LogWriter:
        """One more."""
        self.writers.append(LogWriter(self.write, **options))
        return self.writers[-1]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe with room for some lines only; its writers have ended when the next test opens another by its numbers."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, SMALL_PIPE_BYTES)
    pipe = Pipe(read, write, [])
    yield pipe
    os.close(read)  # what is still written fails from now on
    for writer in pipe.writers:
        writer.close()
    os.close(write)


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, message, None, None)


def test_lines_come_in_order(pipe: Pipe) -> None:
    writer = pipe.writer()
    for number in range(50):
        writer.emit(record(f"line {number}"))
    writer.flush()
    assert os.read(pipe.read, 10_000).decode().splitlines() == [f"line {number}" for number in range(50)]
    writer.close()


def test_nobody_waits_for_a_log_that_is_not_read(pipe: Pipe) -> None:
    """What doesn't fit is dropped and counted, and a line says so once the log is read again."""
    writer = pipe.writer(max_lines=100)
    begin = time.monotonic()
    for number in range(2000):
        writer.emit(record(f"line {number} {'x' * 100}"))
    assert time.monotonic() - begin < 1
    lost = writer.dropped
    assert 1500 < lost < 2000
    assert next(iter(DroppedLines(writer).collect())).samples[0].value == lost
    text = ""
    while sum(map(int, re.findall(r"because the log was not read: (\d+)\.\n", text))) < lost:
        text += os.read(pipe.read, 10_000).decode()
    assert text.startswith("line 0 ")
    writer.close()


def test_a_close_does_not_wait_for_ever(pipe: Pipe) -> None:
    writer = pipe.writer()
    for _ in range(200):
        writer.emit(record("x" * 100))
    begin = time.monotonic()
    writer.close()
    assert time.monotonic() - begin < 3
    writer.emit(record("too late"))
    assert writer.dropped == 1


def test_long_lines_fill_no_memory(pipe: Pipe) -> None:
    """Lines that wait are bounded in bytes too."""
    writer = pipe.writer()
    for _ in range(100):
        writer.emit(record("x" * 2**20))
    assert writer.dropped > 80


def test_a_closed_pipe_ends_nothing() -> None:
    """Lines to nobody are counted, and the next ones are tried."""
    read, write = os.pipe()
    os.close(read)
    writer = LogWriter(write)
    for _ in range(3):
        writer.emit(record("lost"))
    writer.flush()
    assert writer.dropped == 3
    writer.close()
    os.close(write)


def test_odd_texts_are_written(pipe: Pipe) -> None:
    """Half of a surrogate pair, as an odd remark or path may have, is escaped."""
    writer = pipe.writer()
    writer.emit(record("a\ud800b"))
    writer.flush()
    assert os.read(pipe.read, 100) == b"a\\ud800b\n"
    writer.close()


@pytest.mark.process
@pytest.mark.slow
async def test_a_service_whose_log_nobody_reads_answers_and_stops(tmp_path: Path) -> None:
    """It answers on, its metrics count what is lost, and SIGTERM ends it in time."""
    running = await listening(
        await launch(
            {"FACE_DATA": str(tmp_path / "data"), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": "casia-webface"}
            | {"FACE_LOG_FORMAT": "json"}
        )
    )
    stderr = running.process._transport.get_pipe_transport(2)  # type: ignore[attr-defined]
    try:
        stderr.pause_reading()
        async with ClientSession(running.url) as session:
            dropped = 0.0
            for _ in range(60):
                for _ in range(300):
                    async with session.get("/v1/model") as answer:
                        assert answer.status == 200
                async with session.get("/metrics") as answer:
                    lines = (await answer.text()).splitlines()
                dropped = next(float(line.split()[1]) for line in lines if line.startswith("face_log_lines_dropped"))
                if dropped:
                    break
            assert dropped > 0
        begin = time.monotonic()
        running.signal(signal.SIGTERM)
        await until(lambda: Path(f"/proc/{running.process.pid}/stat").read_text().split()[2] == "Z")
        assert time.monotonic() - begin < 8
        stderr.resume_reading()
        assert await running.ended() == 0
    finally:
        stderr.resume_reading()  # else nobody would learn that it has ended
        await running.kill()
