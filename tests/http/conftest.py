"""What the tests of service/http share."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog
