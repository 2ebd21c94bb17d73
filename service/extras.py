"""Says how to install what only some services need: the extras that pyproject.toml lists."""

from __future__ import annotations

import sys


def install_command(extra: str) -> str:
    """The shell command that adds an extra to the environment of this process, be it a checkout's or another."""
    return f"{sys.executable} -m pip install 'face-service[{extra}]'"
