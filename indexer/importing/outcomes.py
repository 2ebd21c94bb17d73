"""What became of a file: one line of the report, one count of the summary."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import Enum


class Outcome(Enum):
    """In the order of the summary; the value is what people and programs read."""

    REGISTERED = "registered"
    WOULD_REGISTER = "would be registered"
    KNOWN = "already known"
    OTHER_REMARK = "known under another remark"
    NO_FACE = "no face"
    SEVERAL_FACES = "several faces"
    UNCERTAIN = "uncertain face"
    BLURRED = "blurred"
    DARK = "dark"
    PALE = "pale"
    NOISY = "noisy"
    OVEREXPOSED = "overexposed"
    SMALL_FACE = "small face"
    TURNED = "turned away"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_A_PHOTO = "not a photo"
    HIDDEN = "hidden"
    LINK = "link"

    @property
    def is_failure(self) -> bool:
        """Whether a photo is missing from the gallery; what isn't a photo to begin with is not."""
        return self not in _NO_FAILURES


_NO_FAILURES = {
    *(Outcome.REGISTERED, Outcome.WOULD_REGISTER, Outcome.KNOWN),
    *(Outcome.NOT_A_PHOTO, Outcome.HIDDEN, Outcome.LINK),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the report. `reason` says why a photo failed; `milliseconds` is from opening it to having its faces.

    A `path` that isn't UTF-8 holds lone surrogates, as Python's own functions have it.
    """

    path: str
    outcome: Outcome
    _: KW_ONLY
    face_id: int | None = None
    reason: str = ""
    milliseconds: float = 0.0
