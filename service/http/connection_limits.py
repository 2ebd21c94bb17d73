"""How many connections there may be, in all and from one address, and which of them make room for another."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

from service.http.allowances import Allowances
from service.http.client_address import parse
from service.http.pacing import Pacing
from service.variables import Networks

log = logging.getLogger(__name__)

SAY_EVERY_S = 60.0
"""That connections are refused is logged no more often."""
ROOMS_IN_A_ROW, ROOMS_A_SECOND = 1000, 100
"""How often others make room for connections of an address. Each one that comes costs a hundred times one that is
closed as it comes, so who opens them as fast as possible would keep the event loop busy."""
_IPV6_PREFIX = 64
"""Bits of an IPv6 address that one client can't choose: it may have all addresses below them."""


class Connection(ABC):
    """What is asked of an open connection."""

    __slots__ = ()

    @property
    @abstractmethod
    def is_idle(self) -> bool:
        """Whether no request is being read or answered on it."""

    @abstractmethod
    def drop(self) -> None:
        """Close it at once."""


class ConnectionLimits:
    """Counts sockets by address from their acceptance to their end, and knows the connections on them."""

    def __init__(
        self, *, at_once: int, by_address: int, trusted: Networks, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`trusted` addresses speak for many clients, and may have `at_once`."""
        self.closed_by_reason: Counter[str] = Counter(dict.fromkeys((*_SENTENCES, "idle", "unread"), 0))
        """Connections closed as they came (`all`, `address`, `vain`, `files`), to make room (`idle`), or because nobody
        took the answer (`unread`)."""
        self._at_once = at_once
        self._by_address = by_address
        self._trusted = trusted
        self._clock = clock
        self._rooms = Allowances(per_s=ROOMS_A_SECOND, burst=ROOMS_IN_A_ROW, clock=clock)
        self._pacing = Pacing(clock)
        self._sockets: Counter[str] = Counter()
        self._excused: Counter[str] = Counter()
        self._open: dict[str, dict[Connection, None]] = {}  # the oldest first
        self._arriving: dict[int, Connection] = {}  # by descriptor: HTTP hasn't begun, as in a handshake of TLS
        self._said_at = -SAY_EVERY_S

    @property
    def count(self) -> int:
        """Of all sockets."""
        return self._sockets.total()

    def admit(self, peer: str) -> bool:
        """Count a socket from that address, unless it is one too many; then an idle connection may have made room.

        Where the address has too many it is one of its own, where there are too many in all one of whose address has
        most; no more often than ROOMS_A_SECOND.
        """
        address = self.group(peer)
        if address and not self._pacing.may_connect(address):
            return self._refuse("vain")
        if address and self._sockets[address] >= self._by_address and not self._make_room(address, address):
            return self._refuse("address")
        if self.count >= self._at_once and not self._make_room(self._greatest(), address):
            return self._refuse("all")
        self._sockets[address] += 1
        return True

    def arrived(self, peer: str, descriptor: int, connection: Connection) -> None:
        """A socket was admitted; it may make room until HTTP begins on it."""
        self._arriving[descriptor] = connection
        self._open.setdefault(self.group(peer), {})[connection] = None

    def leave(self, peer: str, descriptor: int = -1) -> None:
        """A socket that was counted is closed, whether HTTP had begun on it or not."""
        address = self.group(peer)
        if (arriving := self._arriving.pop(descriptor, None)) is not None:
            self.closed(peer, arriving, answered=False)
        self._sockets[address] -= 1
        if self._excused[address]:
            self._excused[address] -= 1
        elif address:
            self._pacing.lost(address)
        if not self._sockets[address]:
            del self._sockets[address], self._excused[address]

    def opened(self, peer: str, connection: Connection, descriptor: int = -1) -> None:
        """HTTP may begin on a socket that was admitted."""
        connections = self._open.setdefault(self.group(peer), {})
        arriving = self._arriving.pop(descriptor, connection)
        if arriving is connection or arriving in connections:  # else it has just made room
            connections.pop(arriving, None)
            connections[connection] = None

    def closed(self, peer: str, connection: Connection, *, answered: bool = True) -> None:
        """It has ended, with an answer at least or with none."""
        address = self.group(peer)
        connections = self._open.get(address, {})
        if answered or connection not in connections:
            self._excuse(address)
        connections.pop(connection, None)
        if not connections:
            self._open.pop(address, None)

    def _excuse(self, address: str) -> None:
        """A connection wasn't in vain, or made room for another; its socket is closed just after, of TLS before."""
        if address in self._sockets:
            self._excused[address] += 1
        elif address:
            self._pacing.lost(address, -1)

    def pause_s(self, client: str, received: int) -> float:
        """Seconds that an answer to a client should wait which is worth nothing, and took so many bytes to ask for.

        `client` is an address or a name.
        """
        whose = self.group(client) if parse(client) is not None else client
        return self._pacing.answered(whose, received) if whose else 0.0

    def hold_s(self, group: str, count: int) -> float:
        """Seconds in which no more should be read from a connection of an address, which has brought so many bytes."""
        return self._pacing.received(group, count) if group and len(self._open) > 1 else 0.0

    def worth(self, group: str, count: int) -> None:
        """So many bytes of an address' connection were a request that something was done for."""
        if group:
            self._pacing.worth(group, count)

    def out_of_files(self) -> None:
        """The process can't open another file: some idle connections end, so that it can again."""
        self._make_room(self._greatest(), None)
        self._refuse("files")

    def gave_up(self) -> None:
        """A connection ends whose client doesn't take its answer."""
        self.closed_by_reason["unread"] += 1

    def _refuse(self, why: str) -> bool:
        self.closed_by_reason[why] += 1
        if self._clock() - self._said_at >= SAY_EVERY_S:
            self._said_at = self._clock()
            log.warning("%s", _SENTENCES[why])
        return False

    def _greatest(self) -> str:
        """The address with most connections."""
        return max(self._open, key=lambda each: len(self._open[each]), default="")

    def _make_room(self, address: str, newcomer: str | None) -> bool:
        """Whether the connection of the address that has been open longest of the idle ones could be closed.

        `newcomer` is the address for which that is done, if it may not be done at will.
        """
        if newcomer is not None and not self._rooms.take(newcomer):
            return False
        for each in self._open.get(address, ()):
            if each.is_idle:
                del self._open[address][each]
                self.closed_by_reason["idle"] += 1
                each.drop()
                return True
        return False

    def group(self, peer: str) -> str:
        """What is counted together; empty for addresses that are not limited."""
        address = parse(peer)
        if address is None or any(address in network for network in self._trusted):
            return ""
        return _network_of(address)


def _network_of(address: IPv4Address | IPv6Address) -> str:
    if address.version == 4:  # noqa: PLR2004 - of IP
        return str(address)
    return str(ip_network((address, _IPV6_PREFIX), strict=False))


_SENTENCES = {
    "vain": "Connections are refused: of those of an address too many end before they are answered.",
    "all": "Connections are refused: there are as many as FACE_MAX_CONNECTIONS, or the limit of open files, allows.",
    "address": "Connections are refused: an address has as many as FACE_MAX_ADDRESS_CONNECTIONS allows.",
    "files": "Connections are refused: the process has as many open files as it may; raise its limit (LimitNOFILE).",
}
