"""The records that a test's service has logged."""

from __future__ import annotations

import logging
from typing import Any

import pytest


def of_requests(logged: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of each request's line."""
    return [vars(record) for record in logged.records if record.message == "request"]


def of_service(logged: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Without asyncio's own, which exist only when debugging."""
    return [record for record in logged.records if record.name.startswith(("service", "aiohttp"))]
