"""The process that owns the GPU, run as `python -m service.vision.gpu.process OPTIONS`.

The GPU wants a new piece of work every few microseconds, from a thread that never waits for Python's lock, so it gets a
process of its own. Whoever may open its socket may ask: worker threads of the service, and the
processes of an import. What waits when it looks is answered together. A failure of the GPU, after which CUDA answers
nothing in the same process any more, ends this process alone, and its starter starts another.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.errors import FaceServiceError, Overloaded
from service.values import Detection, Rgb
from service.vision.gpu.memory import in_halves, limit_memory, memory_bytes
from service.vision.gpu.messages import Answer, Kind, Outcome, Request, pack_detections, receive_request, send_answer

READY = "ready"
"""What it says on its standard output once it listens; otherwise the sentence of an error."""

MAX_PHOTOS = 64
"""Photos of a batch."""
MAX_PIXELS = 2**25
"""Of all photos of a batch, unless it is a single one: each takes 30 bytes."""
_READ_AT_ONCE = 2 * MAX_PHOTOS
"""Requests that are taken from one caller before the others, and the answers, have their turn."""
_MAX_CROPS = 512
"""Of a batch, unless a single request has more."""

Search = Callable[[Sequence[Rgb]], list[list[Detection]]]
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What it runs, and where; `min_face` and `min_share` as in detector.Detector."""

    weights: str
    device: str
    precision: str
    min_face: int
    min_share: float
    address: str = ""

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the memory that is shared with them, by their numbers for it."""

    connection: Connection
    memories: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def fileno(self) -> int:
        """For the selector."""
        return self.connection.fileno()


Asked = Sequence[tuple[Caller, Request]]


class Server:
    """Answers whoever connects to its socket, until `starter` is closed at its other end; a single thread."""

    def __init__(self, search: Search, embed: Embed, held_bytes: Callable[[], int], check: Callable[[], None]) -> None:
        """`held_bytes` says how much of the GPU's memory the process holds; `check` raises where the GPU has failed."""
        self._search = search
        self._embed = embed
        self._held_bytes = held_bytes
        self._check = check
        self._selector = selectors.DefaultSelector()

    def serve(self, listener: socket.socket, starter: int) -> None:
        """Raises what CUDA raises once it answers nothing any more, after the callers were told."""
        self._selector.register(starter, selectors.EVENT_READ)
        self._selector.register(listener, selectors.EVENT_READ)
        try:
            self._answer_until_closed(listener, starter)
        finally:
            for key in list(self._selector.get_map().values()):
                if isinstance(key.fileobj, Caller):
                    key.fileobj.connection.close()
            self._selector.close()

    def _answer_until_closed(self, listener: socket.socket, starter: int) -> None:
        while True:
            ready = [key.fileobj for key, _ in self._selector.select()]
            if starter in ready:
                return
            if listener in ready:
                self._welcome(Connection(listener.accept()[0].detach()))
            callers = [each for each in ready if isinstance(each, Caller)]
            asked = [(caller, request) for caller in callers for request in self._read(caller)]
            self._answer([each for each in asked if each[1].kind is Kind.DETECT], self._detect, _photos_of_a_batch)
            self._answer([each for each in asked if each[1].kind is Kind.EMBED], self._embed_all, _crops_of_a_batch)

    def _welcome(self, connection: Connection) -> None:
        """Tell a new caller that this process is alive: one that was just killed would still accept."""
        self._selector.register(Caller(connection), selectors.EVENT_READ)
        with suppress(OSError):  # gone already, which the next read tells too
            send_answer(connection, Answer(0, Outcome.DONE, self._held_bytes(), b""))

    def _read(self, caller: Caller) -> list[Request]:
        """What a caller asks for just now; one who is gone is forgotten."""
        requests: list[Request] = []
        try:
            while len(requests) < _READ_AT_ONCE and caller.connection.poll():
                request = receive_request(caller.connection, caller.memories)
                if request is not None:
                    requests.append(request)
        except (EOFError, OSError):
            self._selector.unregister(caller)
            return []
        return requests

    def _answer(
        self,
        asked: Asked,
        work: Callable[[Sequence[Request]], list[bytes]],
        fitting: Callable[[Sequence[Request]], int],
    ) -> None:
        """Do the work on as many requests at once as fit, and tell each caller what became of it."""
        while asked:
            count = fitting([request for _, request in asked])
            batch, asked = asked[:count], asked[count:]
            try:
                contents = in_halves(work, [request for _, request in batch])
            except Overloaded as error:
                self._tell(batch, Outcome.OVERLOADED, [str(error).encode()] * count)
            except Exception as error:  # noqa: BLE001 - its callers are told, and others have nothing to do with it
                traceback.print_exc()
                self._tell(batch, Outcome.FAILED, [repr(error).encode("utf-8", "replace")] * count)
                self._check()
            else:
                self._tell(batch, Outcome.DONE, contents)

    def _tell(self, batch: Asked, outcome: Outcome, contents: Sequence[bytes]) -> None:
        held = self._held_bytes()
        for (caller, request), content in zip(batch, contents, strict=True):
            with suppress(OSError):  # as above
                send_answer(caller.connection, Answer(request.number, outcome, held, content))

    def _detect(self, requests: Sequence[Request]) -> list[bytes]:
        return [pack_detections(each) for each in self._search([request.pixels for request in requests])]

    def _embed_all(self, requests: Sequence[Request]) -> list[bytes]:
        crops = [request.pixels for request in requests]
        embeddings = self._embed(crops[0] if len(crops) == 1 else np.concatenate(crops))
        ends = np.cumsum([len(each) for each in crops])
        return [each.tobytes() for each in np.split(embeddings, ends[:-1])]


def _photos_of_a_batch(requests: Sequence[Request]) -> int:
    """How many of the first photos make a batch."""
    pixels = 0
    for i, request in enumerate(requests[:MAX_PHOTOS]):
        pixels += request.pixels.shape[0] * request.pixels.shape[1]
        if i and pixels > MAX_PIXELS:
            return i
    return min(len(requests), MAX_PHOTOS)


def _crops_of_a_batch(requests: Sequence[Request]) -> int:
    """How many of the first requests for embeddings are answered together."""
    crops = 0
    for i, request in enumerate(requests):
        crops += len(request.pixels)
        if i and crops > _MAX_CROPS:
            return i
    return len(requests)


def open_server(options: Options) -> Server:
    """With its networks loaded and tried out, so that no request waits for CUDA to start.

    Raises ModelUnavailable where weights are missing, Overloaded where the GPU's memory is full.
    """
    import torch

    from service.models.mtcnn_weights import mtcnn_state_dicts
    from service.vision.gpu.cascade import Cascade
    from service.vision.gpu.embedder import TorchEmbedder
    from service.vision.pyramid import lay_out, smallest_face

    torch.set_num_threads(1)  # the other processors prepare photos
    on_gpu = options.device != "cpu"
    if on_gpu:
        limit_memory()
    [embedder] = in_halves(lambda _: [TorchEmbedder(Path(options.weights), options.device, options.precision)], [0])
    cascade = Cascade(mtcnn_state_dicts(), options.device)

    def search(photos: Sequence[Rgb]) -> list[list[Detection]]:
        sizes = [photo.shape[:2] for photo in photos]
        smallest = [smallest_face(*size, min_face=options.min_face, share=options.min_share) for size in sizes]
        return cascade.detect(photos, [lay_out(*size, least) for size, least in zip(sizes, smallest, strict=True)])

    def warm(_: Sequence[object]) -> list[None]:
        if on_gpu:
            cascade.warm()
        return []

    in_halves(warm, [None])
    in_halves(search, [np.zeros((options.min_face * 4, options.min_face * 4, 3), np.uint8)])
    if on_gpu:
        return Server(search, embedder.embed, memory_bytes, torch.cuda.synchronize)
    return Server(search, embedder.embed, lambda: 0, lambda: None)


def main() -> None:
    """Listen at the address until standard input is closed, which is at the latest when the starter ends."""
    options = Options(**json.loads(sys.argv[1]))
    try:
        server = open_server(options)
    except FaceServiceError as error:
        print(error, flush=True)  # noqa: T201 - read by the starter
        return
    address = Path(options.address)
    address.unlink(missing_ok=True)  # of a process before this one
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(128)
        print(READY, flush=True)  # noqa: T201 - read by the starter
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print from now on
        server.serve(listener, sys.stdin.fileno())
    with suppress(OSError):  # the starter may have been killed, or is doing the same
        address.unlink()
        address.parent.rmdir()


if __name__ == "__main__":
    main()
