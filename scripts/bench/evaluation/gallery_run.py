"""Open-set identification as the service does it: galleries are filled and searched through a store of their own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from indexer.progress import Progress
from scripts.bench.evaluation.draws import MIXED, Draw, Gallery
from scripts.bench.evaluation.identification import Searches
from scripts.bench.evaluation.observing import Observed
from scripts.bench.evaluation.searching import Answer, AnyScore, Search, search_with
from scripts.bench.evaluation.sources import Portrait
from service.gallery.enrollment import Enrollment, add_under_free_ids
from service.stores.edge.store import EdgeStore
from service.values import Embedding, ModelContract

_ADDED_AT_ONCE = 256
_SEARCHED_AT_ONCE = 16
_REGISTERED_AT = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Which galleries are made of each draw: of how many people, with how many photos of each, compared by what."""

    sizes: tuple[int, ...]
    per_member: int
    scores: tuple[AnyScore, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Searches of the galleries of one composition (a group or MIXED) and size, by one score, one for each draw."""

    composition: str
    size: int
    faces: int
    """Enrolled in the first of them: more than people where they have several photos, fewer where some are refused."""
    score: AnyScore
    by_draw: tuple[Searches, ...]

    @property
    def pooled(self) -> Searches:
        """Of all draws together."""
        return Searches.pooled(self.by_draw)


def compositions(draw: Draw) -> list[str]:
    """Each group alone and all mixed; only the latter where there is one group."""
    return [*draw.members, MIXED] if len(draw.members) > 1 else [MIXED]


def sizes_of(draw: Draw, composition: str, sizes: Sequence[int]) -> list[int]:
    """Those of `sizes` that there are people for, and the most people of each composition that has fewer."""
    most = {each: draw.most(each) for each in compositions(draw)}
    wanted = {*sizes, *(number for number in most.values() if number < max(sizes))}
    return sorted(size for size in wanted if 0 < size <= most[composition])


async def search_galleries(
    drawn: Sequence[Draw],
    setup: Setup,
    observed: Mapping[Path, Observed],
    group_of: Mapping[str, str],
    contract: ModelContract,
) -> list[Outcome]:
    """All galleries of all draws, each in an embedded store as the service has it."""
    plan = [(draw, each) for draw in drawn for each in compositions(draw)]
    total = sum(len(sizes_of(draw, each, setup.sizes)) for draw, each in plan) * len(setup.scores)
    found: dict[tuple[str, int, AnyScore], list[Searches]] = {}
    faces: dict[tuple[str, int], int] = {}
    with Progress(total, "galleries") as progress:
        for draw, composition in plan:
            async with temporary_store(contract) as store:
                for size in sizes_of(draw, composition, setup.sizes):
                    gallery = draw.gallery(composition, size, setup.per_member)
                    await enroll(store, gallery.members, observed)  # a larger one holds the smaller
                    faces.setdefault((composition, size), await store.count())
                    for score in setup.scores:
                        search = search_with(score, store, _enrolled(gallery.members, observed))
                        searches = await _searches_of(search, gallery, observed, group_of)
                        found.setdefault((composition, size, score), []).append(searches)
                        progress.advance()
    return [
        Outcome(composition=name, size=size, faces=faces[name, size], score=score, by_draw=tuple(searches))
        for (name, size, score), searches in found.items()
    ]


@asynccontextmanager
async def temporary_store(contract: ModelContract) -> AsyncIterator[EdgeStore]:
    """An empty gallery as the service has it, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        store = EdgeStore(Path(folder) / "gallery")
        await store.open()
        try:
            await store.bind(contract)
            yield store
        finally:
            await store.close()


async def enroll(store: EdgeStore, portraits: Sequence[Portrait], observed: Mapping[Path, Observed]) -> None:
    """Under their identity as remark, but for photos that would be refused; those that are there already stay."""
    enrollments = [
        Enrollment(candidate=candidate, nth=0, remark=portrait.identity, registered_at=_REGISTERED_AT)
        for portrait in portraits
        if (candidate := observed[portrait.path].candidate) is not None
    ]
    for start in range(0, len(enrollments), _ADDED_AT_ONCE):
        await add_under_free_ids(
            enrollments[start : start + _ADDED_AT_ONCE], store.add_many, face_id_bits=store.face_id_bits
        )


def _enrolled(portraits: Sequence[Portrait], observed: Mapping[Path, Observed]) -> list[tuple[str, Embedding]]:
    """Remarks and embeddings of what `enroll` adds."""
    return [
        (portrait.identity, candidate.faces[0].embedding)
        for portrait in portraits
        if (candidate := observed[portrait.path].candidate) is not None
    ]


async def _searches_of(
    search: Search, gallery: Gallery, observed: Mapping[Path, Observed], group_of: Mapping[str, str]
) -> Searches:
    members = await search_all(search, gallery.probes, observed)
    strangers = await search_all(search, gallery.strangers, observed)
    return Searches(
        ranks=np.array([_rank(*each) for each in zip(gallery.probes, members, strict=True)], np.int64),
        scores=np.array([best_score(answers) for answers in members], np.float64),
        member_groups=np.array([group_of[each.identity] for each in gallery.probes], np.str_),
        stranger_scores=np.array([best_score(answers) for answers in strangers], np.float64),
        stranger_groups=np.array([group_of[each.identity] for each in gallery.strangers], np.str_),
    )


async def search_all(
    search: Search, portraits: Sequence[Portrait], observed: Mapping[Path, Observed]
) -> list[Sequence[Answer]]:
    """For each portrait; none where the photo would be refused."""

    async def answer(portrait: Portrait) -> Sequence[Answer]:
        candidate = observed[portrait.path].candidate
        return [] if candidate is None else await search(candidate.faces[0].embedding)

    answers: list[Sequence[Answer]] = []
    for start in range(0, len(portraits), _SEARCHED_AT_ONCE):
        answers += await asyncio.gather(*map(answer, portraits[start : start + _SEARCHED_AT_ONCE]))
    return answers


def _rank(portrait: Portrait, answers: Sequence[Answer]) -> int:
    """The place of the person among the answers; 0 for none."""
    return next((place for place, each in enumerate(answers, 1) if each.remark == portrait.identity), 0)


def best_score(answers: Sequence[Answer]) -> float:
    """Of the first answer; -inf where there is none."""
    return answers[0].score if answers else -np.inf
