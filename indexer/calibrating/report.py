"""Says what a calibration has found out, in a table and in plain sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from indexer.calibrating.findings import FMR, MIN_PEOPLE, Findings
from service.gallery.calibration import OperatingPoint, Rate, people_for
from service.variables import variable

MAX_PAIRS = 10
"""Pairs of remarks that are named."""

_COLUMNS = 100
_LONGEST_NAME = 50
_WHOLE_FROM = 0.1
"""Shares beyond are told in whole percents."""

_THRESHOLD, _FPIR = variable("threshold"), variable("fpir")

_EXPLANATION = """\
Everybody was searched twice: as a stranger, in the gallery without all photos of their own, and, who has several
photos, as a member, in the gallery without that one photo.
FPIR: strangers who are taken for somebody. FNIR: members who are not found, or taken for somebody else.
All in %; in brackets the 95 % confidence interval over people."""


def too_few(people: int) -> str:
    """Instead of a report."""
    return (
        f"The gallery has photos of {people} people, which tell nothing about strangers; register {MIN_PEOPLE} or "
        f"more, with two photos of each, and keep {_THRESHOLD} as it is until then."
    )


def report(findings: Findings) -> str:
    """All of it, as printed."""
    sentences = [*_proposal(findings), *_others(findings), _members(findings), _one_to_one(findings)]
    lines = [*_heading(findings), "", _EXPLANATION, "", *_table(findings), "", *map(_wrapped, sentences)]
    return "\n".join([*lines, *_pairs(findings)])


def _heading(findings: Findings) -> Iterator[str]:
    subject, several = findings.subject, findings.calibration.members.people
    yield f"gallery  {subject.gallery}"
    yield f"model    {subject.contract.model} (weights {subject.contract.digest[:12]})"
    yield f"score    {subject.score}"
    yield f"faces    {subject.faces:,}"
    yield f"people   {subject.people:,}"
    if findings.searched_faces < subject.faces:
        yield f"searched {findings.searched_faces:,} faces of {findings.searched_people:,} people, a fair sample"
    yield f"several  {several:,} people have two photos or more"


def _table(findings: Findings) -> Iterator[str]:
    built_in = findings.subject.built_in is not None
    yield "wanted  this gallery" + (f"{'built in':>40}" if built_in else "")
    columns = "threshold  FPIR                 FNIR"
    yield f"  FPIR  {columns}" + (f"    {columns}" if built_in else "")
    for line in findings.lines:
        own = _cells(line.own) if line.own else f"takes {people_for(line.fpir):,} people".ljust(len(columns))
        yield f"{_number(line.fpir):>6}  {own}    {_cells(line.built_in) if line.built_in else ''}".rstrip()


def _cells(point: OperatingPoint) -> str:
    missed = _number(point.fnir.share) if point.fnir else "–"
    return f"{point.threshold:>9.3f}  {_rate(point.fpir):<19}  {missed:>4}"


def _proposal(findings: Findings) -> Iterator[str]:
    wanted, proposed, built_in = findings.wanted, findings.proposed, findings.proposed_built_in
    if wanted.own is None:
        yield (
            f"{findings.searched_people:,} people can't show an FPIR of {_number(wanted.fpir)} %: that takes "
            f"{people_for(wanted.fpir):,}."
        )
    if built_in is not None:
        yield (
            f"Proposal: {_THRESHOLD}=auto with {_FPIR}={built_in.fpir:g}, which is {built_in.point.threshold:.3f} "
            f"here: {_errors(built_in.point)}."
        )
    elif proposed is None:
        yield (
            "There is no proposal; register more people, mend the pairs below if there are any, and run this command "
            "again."
        )
    else:
        yield (
            f"Proposal: {_THRESHOLD}={proposed.point.threshold:.3f} for an FPIR of {_number(proposed.fpir)} %: "
            f"{_errors(proposed.point)}."
        )


def _others(findings: Findings) -> Iterator[str]:
    """How the threshold that is set does, and the built-in one what was asked for, as far as the people can show it."""
    subject, wanted = findings.subject, findings.wanted
    if findings.as_set is not None:
        yield f"As it is set now, {_THRESHOLD}={findings.as_set.threshold:g}: {_errors(findings.as_set)}."
    if wanted.built_in is None:
        why = f"{variable('score')}=cosine" if subject.score == "cosine" else f"the model {subject.contract.model}"
        yield f"There is no built-in threshold for {why}."
    elif wanted.own is not None or wanted.built_in.fpir.low > wanted.fpir:
        point = wanted.built_in
        if point.fpir.low > wanted.fpir:
            verdict = "too low for this gallery"
        elif point.fpir.high < wanted.fpir:
            verdict = "stricter than need be"
        else:
            verdict = "as good"
        yield (
            f"{_THRESHOLD}=auto with {_FPIR}={wanted.fpir:g} is {point.threshold:.3f} here, which is {verdict}: "
            f"{_errors(point)}."
        )


def _errors(point: OperatingPoint) -> str:
    missed = f", {_rate(point.fnir)} % of members are missed" if point.fnir else ""
    return f"{_rate(point.fpir)} % of strangers are taken for somebody{missed}"


def _members(findings: Findings) -> str:
    if findings.calibration.rank_1 is None:
        return (
            "No remark has two photos, so how many members would be missed is not known; register second photos of "
            "some people, taken on another day, and run this command again."
        )
    return f"Rank-1: {_rate(findings.calibration.rank_1)} % of members are most like themselves."


def _one_to_one(findings: Findings) -> str:
    if findings.one_to_one is None:
        return f"For 1:1 comparisons at FMR {_number(FMR)} % there are too few pairs of people."
    fnmr = findings.one_to_one.fnmr
    missed = f"; {_rate(fnmr)} % of pairs of one person are below (FNMR)" if fnmr else ""
    return (
        f"1:1: a similarity (cosine) of {findings.one_to_one.threshold:.3f} is reached by {_number(FMR)} % of the "
        f"pairs of different people (FMR){missed}."
    )


def _pairs(findings: Findings) -> Iterator[str]:
    if not findings.suspicious:
        return
    yield ""
    yield _wrapped(
        "These may be one person under two remarks. If so, the FPIR above is too high, and with it the proposal: "
        "register them under one remark, and run this command again."
    )
    for pair in findings.suspicious[:MAX_PAIRS]:
        yield f"  {pair.score:.3f}  {_name(pair.one)} and {_name(pair.other)}"
    if len(findings.suspicious) > MAX_PAIRS:
        yield f"  and {len(findings.suspicious) - MAX_PAIRS:,} pairs more"


def _name(remark: str) -> str:
    """In quotes, with nothing in it that a terminal would act upon."""
    return repr(remark if len(remark) <= _LONGEST_NAME else remark[:_LONGEST_NAME] + "…")


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, _COLUMNS, subsequent_indent="  ")


def _rate(rate: Rate) -> str:
    """`1.2 (0.9 to 1.6)`."""
    return f"{_number(rate.share)} ({_number(rate.low)} to {_number(rate.high)})"


def _number(share: float) -> str:
    """In %, to two digits."""
    return f"{share * 100:.0f}" if share >= _WHOLE_FROM else f"{share * 100:.2g}"
