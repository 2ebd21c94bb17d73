"""The cases of a run by number: the bytes of each follow from the seed and the number alone."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from scripts.fuzz.mutations import mutated
from scripts.fuzz.photo_seeds import photo_seeds
from scripts.fuzz.request_seeds import request_seeds

Kind = Literal["photo", "request"]

_FORM = b'--fuzzedge\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'
_PATHS = (b"/recognition_face", b"/registration_face", b"/v1/detect", b"/v1/faces")


@dataclass(slots=True)
class Cases:
    """Makes the bytes that are sent in case `number` of a kind."""

    seed: int
    photos: tuple[bytes, ...] = field(default_factory=lambda: tuple(photo_seeds().values()))
    requests: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.requests = self.requests or request_seeds(self.photos[0])

    def case(self, kind: Kind, number: int) -> bytes:
        """A whole request: with a damaged photo in a sound form, or damaged itself."""
        chance = random.Random(f"{self.seed} {kind} {number}")  # noqa: S311 - the same in every run
        if kind == "request":
            return self._damaged(chance.choice(self.requests), chance)
        return self.upload(mutated(chance.choice(self.photos), chance, self.photos), chance.choice(_PATHS))

    def _damaged(self, request: bytes, chance: random.Random) -> bytes:
        """Damaged anywhere, or in its body alone; the length in its head is then that of the body that is sent."""
        head, end, body = request.partition(b"\r\n\r\n")
        if not body or chance.randrange(2):
            return mutated(request, chance, self.requests)
        damaged = mutated(body, chance, self.requests)
        return head.replace(b"Length: %d" % len(body), b"Length: %d" % len(damaged)) + end + damaged

    @staticmethod
    def upload(photo: bytes, path: bytes = _PATHS[0]) -> bytes:
        """A sound request with that photo."""
        body = _FORM % b"remark" + b"fuzz\r\n" + _FORM % b"image" + photo + b"\r\n--fuzzedge--\r\n"
        head = b"POST %b HTTP/1.1\r\nHost: door\r\nConnection: close\r\nContent-Length: %d\r\n" % (path, len(body))
        return head + b"Content-Type: multipart/form-data; boundary=fuzzedge\r\n\r\n" + body
