"""What a calibration has found out about a gallery: operating points, the proposed threshold, remarks to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from indexer.calibrating.sample import Sample
from service.gallery.calibration import Calibration, OperatingPoint, Rate, Trials, people_for, rate, similarity_at
from service.gallery.cross_search import pairs_of_different_people, pairs_of_one_person
from service.settings import Score
from service.values import ModelContract

FPIRS = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Those of the table; the wanted one is added."""

FMR = 0.001
"""Of 1:1 comparisons."""

SUSPICIOUS_FPIR = 0.001
"""Two people who are more alike than all but so few strangers may be one."""

MIN_PEOPLE = 20
"""Of fewer nothing is told: one stranger would be more than 5 %."""

BuiltIn = Callable[[float], float]
"""The built-in threshold for an FPIR, in a gallery of this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was calibrated: the gallery with all its faces and people, and how the service is set.

    `threshold` is the number that FACE_THRESHOLD sets, None where it sets none.
    """

    gallery: str
    contract: ModelContract
    faces: int
    people: int
    score: Score
    wanted_fpir: float
    threshold: float | None
    built_in: BuiltIn | None


class Line(NamedTuple):
    """For a wanted FPIR this gallery's own operating point, None where it has too few people, and the built-in one."""

    fpir: float
    own: OperatingPoint | None
    built_in: OperatingPoint | None


class Proposal(NamedTuple):
    """A wanted FPIR, and the threshold for it with the error rates that it has here."""

    fpir: float
    point: OperatingPoint


class OneToOne(NamedTuple):
    """The least similarity (cosine) of one person's photos at FMR; FNMR is None where nobody has several photos."""

    threshold: float
    fnmr: Rate | None


class Pair(NamedTuple):
    """Two remarks that may be one person, and the better of the scores with which one is taken for the other."""

    one: str
    other: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that is reported; `searched_faces` and `searched_people` are those of the sample."""

    subject: Subject
    calibration: Calibration
    searched_faces: int
    searched_people: int
    lines: list[Line]
    as_set: OperatingPoint | None
    one_to_one: OneToOne | None
    suspicious: list[Pair]

    @property
    def wanted(self) -> Line:
        """The line of FACE_FPIR."""
        return next(line for line in self.lines if line.fpir == self.subject.wanted_fpir)

    @property
    def proposed(self) -> Proposal | None:
        """For FACE_FPIR; where people are too few for it the next FPIR, but nothing beside a built-in threshold."""
        if self.wanted.own is None and self.wanted.built_in is not None:
            return None
        enough = (Proposal(line.fpir, line.own) for line in self.lines if line.own and line.fpir >= self.wanted.fpir)
        return next(enough, None)

    @property
    def proposed_built_in(self) -> Proposal | None:
        """The built-in threshold to take where people are too few for FACE_FPIR, None where there is none or no need.

        It is the first, from FACE_FPIR on to smaller ones, at which no more than FACE_FPIR can be shown, if any.
        """
        if self.wanted.own is not None:
            return None
        points = [(line.fpir, line.built_in) for line in reversed(self.lines) if line.fpir <= self.wanted.fpir]
        stricter = [Proposal(fpir, point) for fpir, point in points if point]
        return next((each for each in stricter if each.point.fpir.low <= self.wanted.fpir), None)


def find(subject: Subject, sample: Sample, calibration: Calibration) -> Findings:
    """Draw the conclusions for a sample of MIN_PEOPLE people at least."""
    return Findings(
        subject=subject,
        calibration=calibration,
        searched_faces=len(sample.people.owners),
        searched_people=len(sample.remarks),
        lines=[_line(fpir, subject.built_in, calibration) for fpir in sorted({*FPIRS, subject.wanted_fpir})],
        as_set=None if subject.threshold is None else calibration.at(subject.threshold),
        one_to_one=_one_to_one(sample),
        suspicious=_suspicious(subject.built_in, sample, calibration),
    )


def as_json(findings: Findings) -> dict[str, Any]:
    """For programs: all but the remarks, and the error rates over thresholds."""
    subject, calibration = findings.subject, findings.calibration
    thresholds = np.arange(0, 201) / 200
    fpirs, found = calibration.strangers.shares(thresholds), calibration.members.shares(thresholds)
    several = calibration.members.people
    proposed, built_in = findings.proposed, findings.proposed_built_in
    return {
        "gallery": subject.gallery,
        "model": subject.contract.model,
        "weights": subject.contract.digest,
        "score": subject.score,
        "faces": subject.faces,
        "people": subject.people,
        "searched": {
            "faces": findings.searched_faces,
            "people": findings.searched_people,
            "people_with_several_faces": several,
        },
        "wanted_fpir": subject.wanted_fpir,
        "proposed": proposed and {"fpir": proposed.fpir, "threshold": proposed.point.threshold},
        "proposed_built_in": built_in and {"fpir": built_in.fpir, "threshold": round(built_in.point.threshold, 6)},
        "as_set": _point(findings.as_set),
        "rank_1": calibration.rank_1 and calibration.rank_1._asdict(),
        "operating_points": [
            {"wanted_fpir": line.fpir, "own": _point(line.own), "built_in": _point(line.built_in)}
            for line in findings.lines
        ],
        "one_to_one": findings.one_to_one
        and {
            "fmr": FMR,
            "similarity": findings.one_to_one.threshold,
            "fnmr": findings.one_to_one.fnmr and findings.one_to_one.fnmr._asdict(),
        },
        "pairs_that_may_be_one_person": len(findings.suspicious),
        "curve": [
            {"threshold": each, "fpir": round(fpir, 6), "fnir": round(1 - share, 6) if several else None}
            for each, fpir, share in zip(thresholds.tolist(), fpirs.tolist(), found.tolist(), strict=True)
        ],
    }


def _point(point: OperatingPoint | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {
        "threshold": round(point.threshold, 6),
        "fpir": point.fpir._asdict(),
        "fnir": point.fnir and point.fnir._asdict(),
    }


def _line(fpir: float, built_in: BuiltIn | None, calibration: Calibration) -> Line:
    own = calibration.at(calibration.threshold(fpir)) if calibration.shows(fpir) else None
    return Line(fpir, own, built_in and calibration.at(built_in(fpir)))


def _one_to_one(sample: Sample) -> OneToOne | None:
    """None where there are too few pairs of different people."""
    different, same = pairs_of_different_people(sample.people), pairs_of_one_person(sample.people)
    if len(different) < people_for(FMR):
        return None
    threshold = similarity_at(FMR, different)
    missed = float(np.mean(same < threshold)) if len(same) else None
    return OneToOne(threshold, None if missed is None else rate(missed, len(same)))


def _suspicious(built_in: BuiltIn | None, sample: Sample, calibration: Calibration) -> list[Pair]:
    """Pairs of remarks above the strictest built-in threshold; where there is none, as alike as half of the members."""
    limit = built_in(SUSPICIOUS_FPIR) if built_in else _median(calibration.members)
    return [
        Pair(sample.remarks[each.one], sample.remarks[each.other], each.score)
        for each in calibration.alike
        if limit is not None and each.score >= limit
    ]


def _median(members: Trials) -> float | None:
    """Of their scores; None where most are not found, or nobody has several photos."""
    median = float(np.median(members.scores)) if members.people else -np.inf
    return median if np.isfinite(median) else None
