"""The judge of answers: what it lets pass, and that it can complain of everything that it is there for."""

from __future__ import annotations

import pytest

from scripts.fuzz.judging import SLOWEST_S, complaint_about, complaint_about_log, steady_growth_mb
from scripts.fuzz.request_seeds import MARKER

HEAD = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.parametrize("status", [200, 204, 400, 404, 413, 422, 503])
def test_foreseen_answers_pass(status: int) -> None:
    assert complaint_about(HEAD % status + b'{"code": 1001, "detail": "missing_args"}', 0.1) == ""


@pytest.mark.parametrize(
    ("answer", "took_s", "complaint"),
    [
        (b"", 0.1, "no answer"),
        (b"hello", 0.1, "no HTTP"),
        (HEAD % 500, 0.1, "status 500"),
        (HEAD % 200 + b'{"code": 999}', 0.1, "code 999"),
        (HEAD % 400 + MARKER, 0.1, "shows what was sent"),
        (HEAD % 200 + b'{"code": 1001, "detail": "%b"}' % MARKER, 0.1, "shows what was sent"),
        (HEAD % 200, SLOWEST_S + 1, "answered after"),
    ],
)
def test_everything_else_is_complained_of(answer: bytes, took_s: float, complaint: str) -> None:
    assert complaint in complaint_about(answer, took_s)


def test_answers_may_hold_what_was_registered() -> None:
    assert complaint_about(HEAD % 200 + MARKER, 0.1) == ""


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", f"WARNING {MARKER.decode()}"])
def test_tracebacks_and_names_in_the_log_are_complained_of(line: str) -> None:
    assert complaint_about_log(f"INFO started\n{line}\n")
    assert complaint_about_log("INFO started\n") == ""


def test_memory_that_grows_with_each_case_is_told_from_what_a_large_photo_adds_once() -> None:
    assert steady_growth_mb([800, 801, 827, 828, 829, 874, 875]) == 6
    assert steady_growth_mb([800, 820, 840, 861, 880]) == 80
    assert steady_growth_mb([800]) == 0
