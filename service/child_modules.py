"""How a process of our own is started: the command that runs one of our modules, wherever the service was started."""

from __future__ import annotations

import sys
from pathlib import Path

_RUN_MODULE = (
    "import runpy, sys; root, module = sys.argv.pop(1), sys.argv.pop(1); "
    "root in sys.path or sys.path.insert(0, root); runpy.run_module(module, run_name='__main__', alter_sys=True)"
)
"""What `python -m` does, with a module that is found where this one lies, and never in the working folder."""


def command(module: str, *arguments: str) -> tuple[str, ...]:
    """Runs a module of this program in an interpreter of its own."""
    return (sys.executable, "-P", "-c", _RUN_MODULE, str(Path(__file__).parents[1]), module, *arguments)
