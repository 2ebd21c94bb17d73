"""A pytest plugin: which tests may be skipped, and why. Where CI is set, a skip for any other reason is a failure.

CI installs every tool that the tests use, so that a test skipped there would be one that nobody runs.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from importlib.util import find_spec
from typing import TypeVar

import pytest

ALLOWED = (
    "needs the folder ../shared",  # the LFW photos and the vggface2 weights, too large for the project
    "needs QDRANT_TEST_URL",  # a Qdrant server of its own, which only a container brings
    "needs a GPU",
    "needs Ray",  # an extra that the development environment lacks: hundreds of megabytes
    "Ray is installed here",  # the test is about its absence
    "needs torch",  # a service whose models are converted runs without, and so does the suite on a second Python
    "root can write to read-only folders",
    "needs /dev/full",  # Linux has it
    "needs the right to mount",  # small disks that can be filled; root on Linux has it
)
"""How the reason of a skip may begin. That of a missing tool, such as redis-server, is none of them."""

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked with `torch` where that isn't installed, and with `gpu` where torch finds none."""
    on_gpu = item.get_closest_marker("gpu") is not None
    if (on_gpu or item.get_closest_marker("torch") is not None) and find_spec("torch") is None:
        pytest.skip("needs torch")
    if on_gpu:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test, or one whose fixture skips."""
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips all of its tests."""
    return _judged((yield))


def _judged(report: _Report) -> _Report:
    """The report, made a failure where the test was skipped on CI for a reason that isn't allowed."""
    if report.skipped and not hasattr(report, "wasxfail") and _on_ci() and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(ALLOWED):
            report.outcome = "failed"
            report.longrepr = (
                f"Skipped for «{reason}». CI must install what is missing: see .ci/run, tests/support/skips.py."
            )
    return report


def _on_ci() -> bool:
    """Whether the variable CI is set, to what means yes."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}
