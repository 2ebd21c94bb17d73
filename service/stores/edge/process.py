"""The process that owns an embedded gallery: `python -m service.stores.edge.process FOLDER OPENING PURGE_S INDEX_FROM`.

Qdrant Edge holds the interpreter's lock while it works, so it would stop the service's event loop. Requests (number,
requests.Request) come in on stdin and are carried out one after another; answers (number, whether it went well, value
or exception) leave on stdout; the first answer, number 0, is the gallery's contract and its key's check. The end of
stdin is the end of the process, so that a killed service leaves no orphan that holds the gallery.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import FaceServiceError, StoreUnavailable
from service.log_writer import LogWriter
from service.stores.edge.frames import FrameReader, pack, widen
from service.stores.edge.requests import Request

if TYPE_CHECKING:  # `main` imports it once signals and descriptors are in order
    from service.stores.edge.shard import Shard

log = logging.getLogger(__name__)

MAX_UNSYNCED = 64
"""Writes that may share one wait for the disk."""

IDLE_S = 2.0
"""Quiet time after which writes are flushed into the segments."""

Answer = tuple[int, bool, Any]
"""Its request's number, whether that went well, and the value or the exception."""


def serve(shard: Shard, frames: FrameReader, send: Callable[[Answer], None]) -> None:
    """Answer until the stream ends; writes that wait together share one wait for the disk."""
    unsynced: list[Answer] = []
    while True:
        if unsynced and (len(unsynced) >= MAX_UNSYNCED or not frames.ready(0)):
            _sync_and_send(shard, unsynced, send)
        _use_quiet_time(shard, frames)
        frame: tuple[int, Request[Any]] | None = frames.read()
        if frame is None:
            break
        number, request = frame
        answer = _attempt(number, type(request).__name__, partial(request.carry_out, shard))
        if request.writes and answer[1]:
            unsynced.append(answer)
        else:
            send(answer)
    if unsynced:
        _sync_and_send(shard, unsynced, send)


def _use_quiet_time(shard: Shard, frames: FrameReader) -> None:
    """Flush, and go on with what isn't asked for by anybody, until there is a request."""
    began = time.monotonic()
    shard.upkeep.step_if_late()
    while not frames.ready(min(IDLE_S, shard.upkeep.pause_s)):
        if shard.has_unflushed and time.monotonic() - began >= IDLE_S:
            _attempt(0, "flush", shard.flush)
        shard.upkeep.step()


def _attempt(number: int, name: str, work: Callable[[], object]) -> Answer:
    """Do the work, and turn what it raises into an answer; a panic of Edge is none and ends the process, as it must."""
    try:
        return number, True, work()
    except (FaceServiceError, ValueError) as error:
        return number, False, error
    except Exception as error:  # noqa: BLE001 - Edge raises plain Exceptions, and who asked must get an answer
        # Not the whole message: Edge quotes what it was given in some.
        log.error("%s failed: %s: %.200s", name, type(error).__name__, error)
        sentence = "The gallery could not carry this out; its log says why, and repeating the request is safe."
        return number, False, StoreUnavailable(sentence)


def _sync_and_send(shard: Shard, unsynced: list[Answer], send: Callable[[Answer], None]) -> None:
    """Send the answers that waited for the disk; if the disk fails them, they say so."""
    _, went_well, failure = _attempt(0, "sync", shard.sync)
    for number, _, value in unsynced:
        send((number, went_well, value if went_well else failure))
    unsynced.clear()


def main(folder: Path, opening: str, purge_s: int, index_from: int) -> None:
    """Open the gallery, say so, serve until stdin ends, close."""
    # Ctrl-C and a service manager's stop reach the whole group; when to leave is for the service to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(0o077)  # Edge makes its files as the umask has it, and faces are nobody else's business
    # Through a thread, as the service's own: a log that nobody reads must not hold up the gallery.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", handlers=[LogWriter()])
    for pipe in (0, 1):
        widen(pipe)
    # Whatever a library prints must not land among the frames.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def send(answer: Answer) -> None:
        rest = memoryview(pack(answer))
        while rest:
            rest = rest[answers.write(rest) :]

    from service.stores.edge.integrity import Opening
    from service.stores.edge.shard import Shard
    from service.stores.edge.upkeep import UpkeepRules

    try:
        shard = Shard(folder, opening=Opening(opening), rules=UpkeepRules(purge_s=purge_s, index_from=index_from))
    except (FaceServiceError, OSError) as error:
        reason = error if isinstance(error, FaceServiceError) else StoreUnavailable(f"{folder} can't be used: {error}.")
        send((0, False, reason))
        return
    whole = False  # what Edge left when it panicked is compared face by face at the next start
    try:
        send((0, True, (shard.contract, shard.key_check)))
        serve(shard, FrameReader(0), send)
        whole = True
    except BrokenPipeError:
        whole = True  # the service is gone; what was written is on disk
    finally:
        shard.close(seal=whole)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
