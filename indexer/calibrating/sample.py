"""Reads the people of a gallery whom a calibration looks at: all of them, or of many a fair sample of whole people."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass

import numpy as np

from service.gallery.cross_search import People
from service.values import Embedding

MAX_FACES = 20_000
"""Faces that are looked at. All are searched among all: 20,000 take half a minute of processor time, and 250 MB."""

MAX_PHOTOS = 50
"""Faces of one person that are looked at, so that none fills the sample alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """People with their remarks: `remarks[number]` is that of the person of this number."""

    people: People
    remarks: list[str]


class Sampler:
    """All people, with MAX_PHOTOS faces of each at most; of more than `limit` faces those with the least digests.

    A remark's digest has to do with nothing else about a person, so these are a fair sample, each with all photos; and
    the same gallery gives the same.
    """

    def __init__(self, limit: int = MAX_FACES) -> None:
        self._limit = limit
        self._remarks: dict[int, str] = {}
        self._embeddings: dict[int, list[Embedding]] = {}
        self._greatest_first: list[int] = []
        """A heap of the digests, made negative."""
        self._end = 1 << 128
        self._faces = 0

    def add(self, remark: str, embedding: Embedding) -> None:
        """One more face, in any order; the first ones of a person are kept."""
        digest = int.from_bytes(hashlib.blake2b(remark.encode(), digest_size=16).digest(), "big")
        if digest >= self._end:
            return
        if digest not in self._remarks:
            self._remarks[digest] = remark
            self._embeddings[digest] = []
            heapq.heappush(self._greatest_first, -digest)
        if len(self._embeddings[digest]) < MAX_PHOTOS:
            self._embeddings[digest].append(embedding)
            self._faces += 1
        while self._faces > self._limit:
            self._leave_out_greatest()

    def finish(self) -> Sample:
        """The people so far, by digest."""
        digests = sorted(self._remarks)
        owners = [number for number, digest in enumerate(digests) for _ in self._embeddings[digest]]
        embeddings = [each for digest in digests for each in self._embeddings[digest]]
        return Sample(
            people=People(embeddings=np.array(embeddings, np.float32), owners=np.array(owners, np.intp)),
            remarks=[self._remarks[digest] for digest in digests],
        )

    def _leave_out_greatest(self) -> None:
        self._end = -heapq.heappop(self._greatest_first)
        self._faces -= len(self._embeddings.pop(self._end))
        del self._remarks[self._end]
