"""One log line and one count for every request that was answered, however it ended."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from service.http.client_address import client_address
from service.http.keys import DEVICE_ID, NAMED_CALLER, REQUEST_ID, TIMINGS
from service.http.metrics import Metrics
from service.http.recent import Recent
from service.http.routes import CONSOLE_PATHS, OPEN_PATHS
from service.variables import Networks

log = logging.getLogger("service.request")

REQUEST_ID_HEADER = "X-Request-Id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended.

    `code` is the answer's, `-` where none was finished; `reason` the slug of what went wrong, `ok` where nothing did;
    `detail` the sentence that goes with a failure, which never holds a remark, a picture or a path of the client's.
    """

    code: str
    reason: str = "ok"
    detail: str = ""


def cut_off(detail: str = "") -> Outcome:
    """Of a request whose client left, or whose answer broke off."""
    return Outcome(code="-", reason="cut_off", detail=detail)


def new_request_id() -> str:
    """16 hex digits; nobody can bring an id of their own."""
    return uuid.uuid4().hex[:16]


class RequestLog:
    """Writes and counts."""

    def __init__(self, metrics: Metrics, trusted_proxies: Networks) -> None:
        """`trusted_proxies` are believed where they name the client in X-Forwarded-For."""
        self.recent = Recent()
        """What came lately."""
        self._metrics = metrics
        self._trusted_proxies = trusted_proxies

    def record(self, request: web.BaseRequest, route: str, outcome: Outcome, took_s: float) -> None:
        """Of one request, which has its REQUEST_ID; `took_s` is the time from its head to the end of its answer."""
        timings = request.get(TIMINGS, {})
        self._metrics.record(route, code=outcome.code, reason=outcome.reason, took_s=took_s, stages_ms=timings)
        client = self.client(request)
        if route not in OPEN_PATHS | CONSOLE_PATHS:
            self.recent.record(
                name=_known(request),
                client=client,
                reason=outcome.reason,
                now=datetime.now(UTC),
                took_ms=took_s * 1000,
                stages_ms=timings,
            )
        fields = {
            "request_id": request[REQUEST_ID],
            "method": request.method,
            "route": route,
            "code": outcome.code,
            "reason": outcome.reason,
            "client": client,
        }
        if NAMED_CALLER in request:
            fields["device_id"] = request[NAMED_CALLER]
        if outcome.detail:
            fields["detail"] = outcome.detail
        took = {stage: round(ms, 1) for stage, ms in {"total": took_s * 1000, **timings}.items()}
        level = logging.DEBUG if route in OPEN_PATHS else logging.INFO  # asked every few seconds by machines
        log.log(level, "request", extra={**fields, "ms": took})

    def client(self, request: web.BaseRequest) -> str:
        """The client's address, as trusted proxies tell it."""
        # The head of a malformed request was not read: its headers are an empty dict.
        forwarded_for = request.headers.getall("X-Forwarded-For", []) if request.headers else []
        return client_address(peer=request.remote, forwarded_for=forwarded_for, trusted=self._trusted_proxies)


def _known(request: web.BaseRequest) -> str | None:
    """The key that a request brings, or the device of ours that it names; None where it has neither."""
    named = request.get(NAMED_CALLER, "")
    return named if named.startswith("key:") else request.get(DEVICE_ID)
