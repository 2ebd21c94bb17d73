"""Already here: refuses to register a face that is known under another remark."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import AlreadyRegistered, InvalidSettings
from service.gallery.identification import Identifier
from service.gallery.scoring import Candidate
from service.gallery.thresholds import ThresholdFor, duplicate_threshold_for
from service.settings import Settings
from service.stores.store import Store
from service.values import Embedding


@dataclass(frozen=True, slots=True)
class DuplicateCheck:
    """Knows a face again that is in the gallery.

    By the threshold of a recognition: a registration is compared with the whole gallery, so that of a 1:1 check would
    refuse half of all new people in a gallery of a thousand.
    """

    identifier: Identifier
    threshold_for: ThresholdFor

    async def find(self, embedding: Embedding, remark: str) -> Candidate | None:
        """The best face of another remark that the embedding (512,) is of, if there is one; raises StoreUnavailable."""
        ranking = await self.identifier.rank(embedding, 2, group_by_remark=True)  # one may be of this remark
        others = [each for each in ranking.candidates if each.neighbour.remark != remark]
        return others[0] if others and others[0].score >= self.threshold_for(ranking.found) else None

    async def require_new(self, embedding: Embedding, remark: str) -> None:
        """Raise AlreadyRegistered where the embedding (512,) is a face of another remark; or StoreUnavailable."""
        if await self.find(embedding, remark) is not None:
            raise AlreadyRegistered(
                "This face is registered already under another remark; delete that one first, or register it under the "
                "same remark."
            )


def duplicate_check(settings: Settings, model: str, store: Store, gallery: str) -> DuplicateCheck | None:
    """What FACE_DUPLICATE asks for, None where duplicates may be; raises InvalidSettings without a known threshold."""
    if settings.duplicate == "allow":
        return None
    identifier = Identifier(store, score=settings.score, gallery=gallery)
    return DuplicateCheck(identifier, duplicate_threshold_for(settings, model))


def known_duplicates(settings: Settings, model: str, store: Store, gallery: str) -> DuplicateCheck | None:
    """What tells of a duplicate whether it is refused or not; None where no threshold is known."""
    try:
        identifier = Identifier(store, score=settings.score, gallery=gallery)
        return DuplicateCheck(identifier, duplicate_threshold_for(settings, model))
    except InvalidSettings:
        return None
