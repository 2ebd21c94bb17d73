"""What an answer must be, whatever was sent: whole, in the form of its path, and never an error that nobody foresaw."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from scripts.fuzz.request_seeds import MARKER

SLOWEST_S = 15.0
"""Longest that an answer may take with all processors at work; a decoder has five seconds."""
_FORESEEN_5XX = frozenset({b"501", b"503", b"505"})
_UNFORESEEN = 999


def complaint_about(answer: bytes, took_s: float) -> str:
    """What is wrong with everything that came back on a connection; empty where nothing is."""
    if took_s > SLOWEST_S:
        return f"answered after {took_s:.1f} s"
    if not answer:
        return "no answer"
    head, _, body = answer.partition(b"\r\n\r\n")
    line = re.match(rb"HTTP/1\.[01] (\d{3})[ \r]", head)
    if line is None:
        return "an answer that is no HTTP"
    return _complaint_about_status(line[1], body)


def _complaint_about_status(status: bytes, body: bytes) -> str:
    if status.startswith(b"5") and status not in _FORESEEN_5XX:
        return f"status {status.decode()}"
    code = _code(body)
    if code == _UNFORESEEN:
        return f"code {_UNFORESEEN}"
    is_refusal = not status.startswith((b"1", b"2")) or code not in {None, 0}
    return "a refusal that shows what was sent" if is_refusal and MARKER in body else ""


def complaint_about_log(text: str) -> str:
    """What is wrong with what the service logged meanwhile; empty where nothing is."""
    if "Traceback" in text:
        return "a traceback:\n" + text[text.index("Traceback") :][:2000]
    if MARKER.decode() in text:
        line = next(each for each in text.splitlines() if MARKER.decode() in each)
        return f"what a client sent, in a line: {line[:300]}"
    return ""


def steady_growth_mb(samples_mb: Sequence[float]) -> float:
    """What memory that was looked at after equally many cases each grew by all the time, in megabytes of the whole run.

    A photo larger than all before it adds some once, for the networks then have room for its size. What is kept of each
    case adds to every sample.
    """
    steps = [later - earlier for earlier, later in pairwise(samples_mb)]
    return median(steps) * len(steps) if steps else 0.0


def _code(body: bytes) -> object:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer.get("code") if isinstance(answer, dict) else None
