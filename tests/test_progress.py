"""What a person sees of a long work, on a terminal and in a log."""

from __future__ import annotations

import io
from contextlib import suppress

from indexer.progress import EVERY_S, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestLog:
    """Where no terminal is: plain lines."""

    def test_a_line_every_few_seconds(self) -> None:
        """Not one for each face, and one at the end."""
        out = io.StringIO()
        now = [0.0]
        with Progress(1000, "faces", stream=out, clock=lambda: now[0]) as progress:
            for _ in range(1000):
                now[0] += 0.03125  # a float without a rest
                progress.advance()
            progress.note(failed=2)
        lines = out.getvalue().splitlines()
        assert lines[0] == "160 of 1,000 faces (16 %), 32 a second, 00:26 left"
        assert lines[-1] == "1,000 of 1,000 faces (100 %), 32 a second, 2 failed"
        assert len(lines) == 1000 * 0.03125 // EVERY_S + 1

    def test_what_was_done_before_does_not_count_as_speed(self) -> None:
        """A run that was taken up tells its own rate and the whole progress."""
        now = [0.0]
        with Progress(1000, "faces", done=900, stream=io.StringIO(), clock=lambda: now[0]) as progress:
            now[0] = 10.0
            progress.advance(20)
            assert progress.line() == "920 of 1,000 faces (92 %), 2.0 a second, 00:40 left"

    def test_without_a_total(self) -> None:
        """Nobody is told what nobody knows."""
        now = [0.0]
        with Progress(None, "photos", stream=io.StringIO(), clock=lambda: now[0]) as progress:
            now[0] = 2.0
            progress.advance(3)
            assert progress.line() == "3 photos, 1.5 a second"

    def test_nothing_to_do(self) -> None:
        """No division by nothing."""
        with Progress(0, "faces", stream=io.StringIO(), clock=lambda: 0.0) as progress:
            assert progress.line() == "0 faces, 0.0 a second"

    def test_a_failure_is_told_as_well(self) -> None:
        """An exception ends the work, not its last line."""
        out = io.StringIO()
        with suppress(OSError), Progress(10, "faces", stream=out, clock=lambda: 0.0) as progress:
            progress.advance(3)
            raise OSError("the disk is full")
        assert out.getvalue().startswith("3 of 10 faces (30 %)")


def test_a_terminal_gets_a_bar() -> None:
    """With how far it is, and failures."""
    terminal = Terminal()
    with Progress(100, "faces", stream=terminal) as progress:
        progress.advance(50)
        progress.note(failed=3)
        progress.advance(50)
    shown = terminal.getvalue()
    assert "100/100" in shown
    assert "3 failed" in shown
