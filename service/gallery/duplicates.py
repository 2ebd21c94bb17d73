"""Already here: refuses to register a face that is known under another remark."""

from __future__ import annotations

from service.errors import AlreadyRegistered
from service.gallery.identification import Identifier
from service.gallery.scoring import CANDIDATES
from service.gallery.thresholds import ThresholdFor
from service.values import Embedding


async def require_new(embedding: Embedding, remark: str, identifier: Identifier, threshold_for: ThresholdFor) -> None:
    """Raise AlreadyRegistered where the embedding (512,) is a face of another remark than this; or StoreUnavailable.

    It is where it would be recognised as one: a registration is compared with the whole gallery, so the threshold of a
    1:1 check would refuse half of all new people in a gallery of a thousand.
    """
    matches = await identifier.search(embedding, CANDIDATES, threshold_for=threshold_for, group_by_remark=True)
    if any(match.face.remark != remark for match in matches):
        raise AlreadyRegistered(
            "This face is registered already under another remark; delete that one first, or register it under the "
            "same remark."
        )
