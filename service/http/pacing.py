"""Who keeps the event loop busy with what is worth nothing waits for it, so that it costs others nothing.

Whatever a client does costs the event loop's processor time, a refusal too. Few clients that go on as fast as they can
would take all of it. So each address may do so much in a row and so much a second, and what is beyond waits: answers
that nobody needs more often, connections that end without one, and bytes while others are being served.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from service.http.allowances import Debts

ANSWERS_IN_A_ROW, ANSWERS_A_SECOND, LONGEST_PAUSE_S = 500, 50, 1.0
"""Refusals, and answers that are open to everybody: the next ones wait, which costs less than to be asked again."""
BYTES_AN_ANSWER = 64 * 2**10
"""To receive as many costs as much as one more of these answers."""
LOST_IN_A_ROW, LOST_A_SECOND = 500, 50
"""Connections that end without an answer: the next ones are closed as they come."""
BYTES_IN_A_ROW, BYTES_A_SECOND, BYTES_A_READ = 24 * 2**20, 24 * 2**20, 8 * 2**10
"""Of an address that isn't the only one, unless an answer shows that they were worth it. To receive so many a second
takes a fifth of a slow processor; each time that some come costs as much as BYTES_A_READ more. Who may send more in a
row than that keeps everybody waiting meanwhile."""
BYTES_OF_CREDIT = 256 * 2**20
"""Of an address that was given such answers: as much may be on its way at once."""
_LONGEST_HOLD_S = 0.5
_SHORTEST_S = 0.005
"""What is shorter isn't worth the while."""


class Pacing:
    """Remembers who owes how much."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers = Debts(per_s=ANSWERS_A_SECOND, in_a_row=ANSWERS_IN_A_ROW, longest_s=LONGEST_PAUSE_S, clock=clock)
        self._lost = Debts(per_s=LOST_A_SECOND, in_a_row=LOST_IN_A_ROW, longest_s=LONGEST_PAUSE_S, clock=clock)
        self._bytes = Debts(
            per_s=BYTES_A_SECOND,
            in_a_row=BYTES_IN_A_ROW,
            longest_s=_LONGEST_HOLD_S,
            credit=BYTES_OF_CREDIT,
            clock=clock,
        )

    def answered(self, whose: str, received: int = 0) -> float:
        """Seconds that a cheap answer should wait for which so many bytes were received."""
        return self._answers.add(whose, 1 + received / BYTES_AN_ANSWER)

    def lost(self, whose: str, connections: int = 1) -> None:
        """So many connections have ended without an answer, or fewer where it is negative."""
        self._lost.add(whose, connections)

    def may_connect(self, whose: str) -> bool:
        """Whether another connection is welcome."""
        return self._lost.wait_s(whose) <= 0

    def received(self, whose: str, count: int) -> float:
        """Seconds in which no more should be read from the connection on which so many bytes came."""
        wait_s = self._bytes.add(whose, count)
        return wait_s if wait_s >= _SHORTEST_S else 0.0

    def worth(self, whose: str, count: int) -> None:
        """So many of its bytes were a request that something was done for: as many more are welcome."""
        self._bytes.add(whose, -2 * count)
