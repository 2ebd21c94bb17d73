"""Already here: refuses to register a face that is known under another remark."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import AlreadyRegistered
from service.gallery.identification import Identifier
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

    async def require_new(self, embedding: Embedding, remark: str) -> None:
        """Raise AlreadyRegistered where the embedding (512,) is a face of another remark; or StoreUnavailable."""
        # Of the best two remarks one is another than this, if any is.
        matches = await self.identifier.search(embedding, 2, threshold_for=self.threshold_for, group_by_remark=True)
        if any(match.face.remark != remark for match in matches):
            raise AlreadyRegistered(
                "This face is registered already under another remark; delete that one first, or register it under the "
                "same remark."
            )


def duplicate_check(settings: Settings, model: str, store: Store) -> DuplicateCheck | None:
    """What FACE_DUPLICATE asks for, None where duplicates may be; raises InvalidSettings without a known threshold."""
    if settings.duplicate == "allow":
        return None
    return DuplicateCheck(Identifier(store, score=settings.score), duplicate_threshold_for(settings, model))
