"""Sends cases to the service, several at a time, and gathers what was wrong with the answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scripts.fuzz.cases import Cases, Kind
from scripts.fuzz.judging import SLOWEST_S, complaint_about
from scripts.fuzz.running import Fuzzed

_GIVE_UP_S = 2 * SLOWEST_S


@dataclass(frozen=True, slots=True)
class Finding:
    """A case whose answer was wrong."""

    kind: Kind
    number: int
    complaint: str
    sent: bytes


@dataclass(slots=True)
class Sender:
    """Sends cases with `clients` connections at a time; `on_case` is called after each."""

    service: Fuzzed
    cases: Cases
    clients: int = 8
    on_case: Callable[[], object] = lambda: None
    findings: list[Finding] = field(default_factory=list)

    async def send(self, numbered: Iterable[tuple[Kind, int]]) -> None:
        """All of these cases, one behind the other on each connection's place."""
        waiting = iter(numbered)
        await asyncio.gather(*(self._client(waiting) for _ in range(self.clients)))

    async def _client(self, waiting: Iterable[tuple[Kind, int]]) -> None:
        for kind, number in waiting:
            sent = self.cases.case(kind, number)
            began = time.monotonic()
            try:
                answer = await asyncio.wait_for(exchange(self.service.port, sent), _GIVE_UP_S)
                complaint = complaint_about(answer, time.monotonic() - began)
            except TimeoutError:
                complaint = f"no end of the answer within {_GIVE_UP_S:.0f} s"
            except ConnectionRefusedError:
                complaint = "the service is gone"
            except OSError as error:
                complaint = f"the connection broke: {type(error).__name__}"
            if complaint and not _is_nothing(sent):
                self.findings.append(Finding(kind, number, complaint, sent))
            self.on_case()


async def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, close the sending side, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


def _is_nothing(sent: bytes) -> bool:
    """Whether a server may stay silent: nothing but ends of lines came, which HTTP has it pass over."""
    return not sent.strip(b"\r\n")
