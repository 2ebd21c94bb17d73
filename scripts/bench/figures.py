"""What all plots of the benchmarks share: their colours, their size, and that they are left out without matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.extras import install_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind people can tell apart (jfly.uni-koeln.de/color)."""


def can_plot() -> bool:
    """Whether matplotlib is installed; a sentence says how where it isn't."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        print(f"\nNo plots without matplotlib; install it: {install_command('plots')}")
        return False
    return True


def new_figure(panels: int, title: str) -> Figure:
    """With panels beside each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4 * panels, 5), dpi=120, layout="constrained")
    figure.suptitle(title)
    for axes in np.atleast_1d(figure.subplots(1, panels)):
        axes.grid(visible=True, which="major", color="#DDDDDD")
    return figure


def saved(figure: Figure, path: Path) -> Path:
    """Written as a PNG; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
