"""The benchmark's results as Markdown: what is printed is what is kept in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from scripts.bench.agreement import LEAST_SHARE, LEAST_SIDE, Agreement
from scripts.bench.machine import load, machine, packages
from scripts.bench.photos import PhotoSet
from scripts.bench.pipelines import STAGES, Pipeline
from scripts.bench.timing import Timing, Timings
from service.commands.markdown import table

OURS = "this service"
OURS_INT8 = f"{OURS}, int8"

_BUSY = 0.7
"""Load from which torch, whose threads wait for each other, loses far more time than others do."""


def heading(pipelines: Sequence[Pipeline]) -> str:
    """What was run, where, when and with which versions."""
    busy = load()
    lines = [
        "Made by `make bench`: every pipeline on the same photos, one photo at a time. Each runs all in a block of",
        "its own, after the others have come to rest, and all blocks are run at least twice, in turns.",
        "",
        f"- {datetime.now().astimezone():%Y-%m-%d}, {machine()}",
        f"- {OURS}: {packages()}",
    ]
    if busy > _BUSY:
        lines.append(f"- **The machine was busy (load {busy:.1f}): these times compare nothing; run it again alone.**")
    for pipeline in pipelines:
        if pipeline.versions:
            versions = ", ".join(f"{name} {version}" for name, version in pipeline.versions.items())
            lines.append(f"- {pipeline.name}: {versions}")
    return "\n".join(lines)


def set_section(photos: PhotoSet, timings: Mapping[str, Timings], search_milliseconds: float | None) -> str:
    """One photo set's table and its ratio lines; search, of our store only, is the same for each set."""
    count = f"{len(photos.paths)} photo" + ("s" if len(photos.paths) > 1 else "")
    wholes = {name: each.whole for name, each in timings.items()}
    rows = [
        [
            name,
            str(timing.faces),
            *(f"{timing.medians[stage]:.1f}" for stage in STAGES),
            f"{search_milliseconds:.1f}" if name.startswith(OURS) and search_milliseconds is not None else "–",
            f"{timing.total_sum / 1000:.2f} s",
        ]
        for name, timing in wholes.items()
    ]
    header = ["median ms", "faces", "decode", "detection", "embedding", "image→embedding", "search", "all photos"]
    failures = [
        f"{name} failed on {timing.failed} of them, which are left out of its row."
        for name, timing in wholes.items()
        if timing.failed
    ]
    return "\n".join([f"## {photos.name}: {count}", "", table(header, rows), "", *failures, *ratios(photos, timings)])


def ratios(photos: PhotoSet, timings: Mapping[str, Timings]) -> list[str]:
    """`lfw_mini image→embedding: this service 12.3× faster (12.1 to 12.4) than facenet-pytorch`, by the set's figure.

    In brackets: the same of each pair of blocks that followed each other.
    """
    what = "image→embedding" if photos.figure == "median" else "image→embedding, all photos"
    return [
        f"- {photos.name} {what}: {ours} **{_ratio(photos, theirs.whole, timings[ours].whole):.1f}× faster** "
        f"({_span(photos, theirs, timings[ours])}) than {reference}"
        for reference, theirs in timings.items()
        for ours in timings
        if ours.startswith(OURS) and not reference.startswith(OURS)
    ]


def agreement_section(agreements: Mapping[str, Agreement]) -> str:
    """Recall of the reference's faces and cosines of the embeddings, for each set of photos."""
    rows = [
        [
            name,
            str(each.photos),
            str(each.faces),
            f"{each.recall:.2%}",
            f"{each.cosine_median:.5f}",
            f"{each.cosine_first_percentile:.5f}",
        ]
        for name, each in agreements.items()
    ]
    header = ["folder", "photos", "reference's faces", "found (IoU ≥ 0.5)", "median cosine", "1st percentile"]
    missed = [f"- missed: {face}" for each in agreements.values() for face in each.missed]
    return "\n".join(
        [
            "## Agreement with facenet-pytorch",
            "",
            f"Faces of the reference whose shorter side is at least {LEAST_SIDE} px and 1/{1 / LEAST_SHARE:.0f} of the",
            "photo's longer side, and the cosine between both embeddings of a face, from the same weights.",
            "",
            table(header, rows),
            "",
            *missed,
        ]
    ).rstrip()


def _span(photos: PhotoSet, theirs: Timings, ours: Timings) -> str:
    each = [_ratio(photos, *pair) for pair in zip(theirs.blocks, ours.blocks, strict=True)]
    return f"{min(each):.1f} to {max(each):.1f}"


def _ratio(photos: PhotoSet, theirs: Timing, ours: Timing) -> float:
    return _figure(photos, theirs) / _figure(photos, ours)


def _figure(photos: PhotoSet, timing: Timing) -> float:
    return timing.medians["total"] if photos.figure == "median" else timing.total_sum
