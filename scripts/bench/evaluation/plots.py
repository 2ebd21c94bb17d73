"""The results as pictures: ROC and DET of pairs; FPIR and FNIR of galleries over the threshold, by size and group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scripts.bench.evaluation.draws import MIXED
from scripts.bench.evaluation.gallery_report import CURVE
from scripts.bench.evaluation.gallery_run import Outcome
from scripts.bench.evaluation.identification import Searches
from scripts.bench.evaluation.pairs_run import Verified
from scripts.bench.evaluation.rates import Scores
from scripts.bench.evaluation.searching import AnyScore
from scripts.bench.evaluation.verification import roc
from scripts.bench.figures import COLOURS, can_plot, new_figure, saved

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = ("-", "--", ":", "-.")
LEAST_PERCENT = 0.01
"""Where logarithmic axes end."""


def plot_pairs(verified: Sequence[Verified], folder: Path, model: str) -> list[Path]:
    """pairs-MODEL.png: ROC and DET beside each other. Nothing, and a sentence, without matplotlib; so for all plots."""
    if not can_plot():
        return []
    figure = new_figure(2, f"1:1 comparison, {model}")
    left, right = figure.axes
    for nth, each in enumerate(verified):
        _, far, tar = roc(each.comparisons)
        colour, style = COLOURS[nth % len(COLOURS)], STYLES[nth % len(STYLES)]
        left.plot(_percent(far), 100 * tar, color=colour, linestyle=style, label=each.name)
        right.plot(_percent(far), _percent(1 - tar), color=colour, linestyle=style, label=each.name)
    least = 100 / max(1, *(len(each.comparisons.impostor) for each in verified))
    for axes, title in ((left, "ROC"), (right, "DET")):
        _in_percent(axes, "x", "false accept rate", least=least)
        axes.set_title(title)
        axes.legend(loc="best")
    left.set_ylabel("true accept rate (%)")
    _in_percent(right, "y", "false reject rate", least=least)
    return [saved(figure, folder / f"pairs-{model}.png")]


def plot_galleries(outcomes: Sequence[Outcome], groups: Sequence[str], folder: Path, model: str) -> list[Path]:
    """sizes-MODEL.png and, of groups, groups-MODEL.png: rates over thresholds; det-MODEL.png: FNIR over FPIR."""
    if not can_plot():
        return []
    mixed = [each for each in outcomes if each.composition == MIXED]
    by_size = {
        score: {f"{each.size} people": each.pooled for each in mixed if each.score == score} for score in _scores(mixed)
    }
    plots = [
        _over_thresholds(by_size, f"Galleries of several sizes, {model}", folder / f"sizes-{model}.png"),
        _trade_off(mixed, groups, f"Misses against false alarms, {model}", folder / f"det-{model}.png"),
    ]
    if len(groups) > 1:
        largest = [each for each in mixed if each.size == max(other.size for other in mixed)]
        by_group = {each.score: {group: each.pooled.of_group(group) for group in groups} for each in largest}
        title = f"Groups of people in galleries of {largest[0].size}, {model}"
        plots.append(_over_thresholds(by_group, title, folder / f"groups-{model}.png"))
    return plots


def _over_thresholds(panels: Mapping[AnyScore, Mapping[str, Searches]], title: str, path: Path) -> Path:
    """FPIR and FNIR over the threshold: a panel for each score, a colour for each of its entries."""
    figure = new_figure(len(panels), title)
    for axes, (score, entries) in zip(figure.axes, panels.items(), strict=True):
        for (name, searches), colour in zip(entries.items(), _colours(len(entries)), strict=True):
            fpir, fnir = searches.curves(CURVE)
            axes.plot(CURVE, _percent(fpir), color=colour, label=f"FPIR, {name}")
            axes.plot(CURVE, _percent(fnir), color=colour, linestyle="--", label=f"FNIR, {name}")
        axes.axhline(1, color="grey", linewidth=0.8)
        axes.set(title=f"score: {score}", xlabel=f"threshold ({score} score)", xlim=_shown(entries.values()))
        _in_percent(axes, "y", "share of searches")
        axes.legend(loc="lower left", fontsize="small")
    return saved(figure, path)


def _trade_off(outcomes: Sequence[Outcome], groups: Sequence[str], title: str, path: Path) -> Path:
    """FNIR over FPIR: a panel for each group, a colour for each size, a style for each score."""
    figure = new_figure(len(groups), title)
    sizes = sorted({each.size for each in outcomes})
    colours = dict(zip(sizes, _colours(len(sizes)), strict=True))
    styles = dict(zip(_scores(outcomes), STYLES, strict=False))
    for axes, group in zip(figure.axes, groups, strict=True):
        for each in outcomes:
            fpir, fnir = each.pooled.of_group(group).curves(CURVE)
            label = f"{each.score}, {each.size} people"
            axes.plot(
                _percent(fpir), _percent(fnir), color=colours[each.size], linestyle=styles[each.score], label=label
            )
        axes.set_title(f"{group}, among all people" if len(groups) > 1 else "all people")
        _in_percent(axes, "x", "FPIR, strangers taken for somebody", least=0.05)
        _in_percent(axes, "y", "FNIR, members missed", least=1)
        axes.legend(loc="best", fontsize="small")
    return saved(figure, path)


def _in_percent(axes: Axes, which: str, label: str, *, least: float = LEAST_PERCENT) -> None:
    """A logarithmic axis of a rate, from `least` to 100 %."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log", f"{which}label": f"{label} (%)", f"{which}lim": (least, 100)})
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _percent(rates: Scores) -> NDArray[np.float64]:
    """With gaps at zero, which a logarithmic axis can't show."""
    return np.where(rates > 0, 100 * rates, np.nan)


def _shown(entries: Iterable[Searches]) -> tuple[float, float]:
    """The thresholds at which a rate changes."""
    scores = np.concatenate([each for one in entries for each in (one.scores, one.stranger_scores)])
    seen = scores[np.isfinite(scores)]
    return (float(seen.min()), float(seen.max())) if seen.size else (-1.0, 1.0)


def _scores(outcomes: Sequence[Outcome]) -> list[AnyScore]:
    return list(dict.fromkeys(each.score for each in outcomes))


def _colours(number: int) -> list[str]:
    return [COLOURS[nth % len(COLOURS)] for nth in range(number)]
