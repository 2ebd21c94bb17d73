"""How a module of this package is run in a process of its own, whatever folder the service was started in."""

from __future__ import annotations

import sys
from pathlib import Path

_RUN_MODULE = (
    "import runpy, sys; root, module = sys.argv.pop(1), sys.argv.pop(1); "
    "root in sys.path or sys.path.insert(0, root); runpy.run_module(module, run_name='__main__', alter_sys=True)"
)
"""What `python -m` does, with a module that is found where this one lies, and never in the working folder."""


def command_of(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line that runs a module of this package."""
    root = Path(__file__).parents[1]
    return (sys.executable, "-P", "-c", _RUN_MODULE, str(root), module, *arguments)
