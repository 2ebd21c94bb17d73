"""What an error means for the import: a line in the report, a pause while the gallery is away, or the end."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Awaitable, Callable
from typing import TypeVar

from indexer.importing.journal import Entry
from indexer.importing.outcomes import Outcome
from indexer.importing.photo_files import Photo
from service.errors import (
    FaceBlurred,
    FaceDark,
    FaceNoisy,
    FaceNotFound,
    FaceOverexposed,
    FacePale,
    FaceServiceError,
    FaceSmall,
    FaceTurned,
    FaceUncertain,
    ImageTooLarge,
    InvalidImage,
    MultipleFaces,
    StoreUnavailable,
    TooSmall,
    UnsupportedFormat,
)
from service.retry import Backoff, retry

log = logging.getLogger(__name__)

AWAY_LIMIT_S = 300.0
"""How long a gallery may be away before the import stops."""

BACKOFF = Backoff(first_s=1.0, longest_s=15.0)
"""The pauses while it is away."""

Answer = TypeVar("Answer")


class CannotGoOn(FaceServiceError):
    """The import stops here; what was imported is safe, and the next run goes on."""

    code = "cannot_go_on"


class Refused(FaceServiceError):
    """A running service did not take the photo; the message is its own."""

    code = "refused"


_OUTCOMES = (
    (ImageTooLarge, Outcome.TOO_LARGE),
    (InvalidImage, Outcome.UNREADABLE),
    (TooSmall, Outcome.TOO_SMALL),
    (FaceNotFound, Outcome.NO_FACE),
    (MultipleFaces, Outcome.SEVERAL_FACES),
    (FaceUncertain, Outcome.UNCERTAIN),
    (FaceBlurred, Outcome.BLURRED),
    (FaceDark, Outcome.DARK),
    (FacePale, Outcome.PALE),
    (FaceNoisy, Outcome.NOISY),
    (FaceOverexposed, Outcome.OVEREXPOSED),
    (FaceSmall, Outcome.SMALL_FACE),
    (FaceTurned, Outcome.TURNED),
)
"""What the photo itself is the cause of: the next run would find the same. A subclass stands before its base."""


def entry_of(photo: Photo, sha256: str, error: Exception) -> Entry:
    """The journal's entry for a photo that could not be enrolled."""
    if has_changed(photo):
        reason = "It changed while it was read; run again once it is whole."
        return Entry(photo, sha256, Outcome.FAILED, reason=reason, final=False)
    no_photo = isinstance(error, UnsupportedFormat | ImageTooLarge) or not photo.size
    if no_photo and not _is_named_like_a_photo(photo):
        return Entry(photo, sha256, Outcome.NOT_A_PHOTO)
    for kind, outcome in _OUTCOMES:
        if isinstance(error, kind):
            return Entry(photo, sha256, outcome, reason=str(error))
    if isinstance(error, OSError):
        reason = f"It can't be read: {error.strerror or error}."
        return Entry(photo, sha256, Outcome.UNREADABLE, reason=reason, final=False)
    if isinstance(error, FaceServiceError):
        outcome = Outcome.REFUSED if isinstance(error, Refused) else Outcome.FAILED
        return Entry(photo, sha256, outcome, reason=str(error), final=False)
    log.error("A photo failed in an unforeseen way", exc_info=error)
    reason = f"Something unforeseen went wrong ({type(error).__name__}); the log has it."
    return Entry(photo, sha256, Outcome.FAILED, reason=reason, final=False)


async def until_available(
    attempt: Callable[[], Awaitable[Answer]], limit_s: float, backoff: Backoff = BACKOFF
) -> Answer:
    """What `attempt` returns once it raises StoreUnavailable no more.

    Raises CannotGoOn when it has done so for `limit_s` seconds.
    """
    try:
        return await retry(
            attempt,
            backoff,
            transient=lambda error: isinstance(error, StoreUnavailable),
            limit_s=limit_s,
            on_retry=lambda error, left_s: log.warning(
                "The gallery can't be reached, trying again for %.0f s: %s", left_s, error
            ),
        )
    except StoreUnavailable as error:
        raise CannotGoOn(
            f"The gallery could not be reached for {limit_s:g} s, so the import stopped. What was imported is "
            f"safe, and the same command goes on from here. The last error: {error}"
        ) from None


def has_changed(photo: Photo) -> bool:
    """Whether the file isn't any more what it was when it was found: somebody is writing it."""
    try:
        now = photo.path.stat()
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) != (photo.size, photo.modified_ns)


def _is_named_like_a_photo(photo: Photo) -> bool:
    """Whether its name is a photo's: a damaged photo is then reported as a failure, a film or a table is not."""
    kind = mimetypes.guess_type(f"name{photo.path.suffix}", strict=False)[0]
    return kind is not None and kind.startswith("image/")
