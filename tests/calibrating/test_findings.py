"""Conclusions from a gallery's own faces: which thresholds can be told, what is proposed, who may be one person."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from indexer.calibrating.findings import FPIRS, BuiltIn, Findings, Subject, as_json, find
from service.gallery.calibration import Calibration
from service.gallery.cross_search import search_all
from tests.calibrating.conftest import MakePhotos, Photo, sample_of
from tests.support.stored_faces import CONTRACT


def found(photos: list[Photo], *, fpir: float = 0.01, built_in: BuiltIn | None = None) -> Findings:
    sample = sample_of(photos)
    subject = Subject(
        gallery="data",
        contract=CONTRACT,
        faces=len(photos),
        people=len(sample.remarks),
        score="cohort",
        wanted_fpir=fpir,
        threshold=None,
        built_in=built_in,
    )
    return find(subject, sample, Calibration.of(sample.people, search_all(sample.people, "cohort")))


def test_a_line_for_each_fpir_and_the_wanted_one(make_photos: MakePhotos) -> None:
    findings = found(make_photos(40), fpir=0.02)
    assert [line.fpir for line in findings.lines] == sorted([*FPIRS, 0.02])
    assert findings.wanted.fpir == 0.02
    assert len(found(make_photos(40)).lines) == len(FPIRS)


def test_few_people_tell_only_large_rates(make_photos: MakePhotos) -> None:
    """The built-in threshold is there for all, and is kept; without one, the next rate that they tell is proposed."""
    findings = found(make_photos(110, several=30), built_in=lambda fpir: 0.5 - fpir)
    assert [line.fpir for line in findings.lines if line.own] == [0.03, 0.1]
    assert [line.built_in.threshold for line in findings.lines if line.built_in] == [0.5 - fpir for fpir in FPIRS]
    assert findings.proposed is None
    assert findings.proposed_built_in is not None
    assert found(make_photos(110), fpir=0.1, built_in=lambda _: 0.4).proposed_built_in is None
    custom = found(make_photos(110))
    assert custom.proposed == (0.03, custom.lines[3].own)
    assert found(make_photos(25)).proposed is None


def test_rates_hold_at_the_own_threshold(make_photos: MakePhotos) -> None:
    """No more strangers are taken for somebody than was wanted, and just below it more are."""
    findings = found(make_photos(300, several=100))
    own = findings.wanted.own
    assert own is not None
    assert own.fnir is not None
    assert own.fpir.share <= 0.01 < findings.calibration.strangers.share(own.threshold - 0.001)
    assert own.fnir.share < 0.1


def test_comparisons_of_two(make_photos: MakePhotos) -> None:
    """They need some thousand pairs of different people, and for FNMR pairs of one person."""
    assert found(make_photos(77)).one_to_one is None
    assert found(make_photos(80)).one_to_one is not None
    found_of_members = found(make_photos(80, several=40)).one_to_one
    assert found_of_members is not None
    assert found_of_members.fnmr is not None
    assert 0.3 < found_of_members.threshold < 0.6
    assert found_of_members.fnmr.share < 0.1


@pytest.mark.parametrize("built_in", [lambda _: 0.45, None], ids=["built in", "custom model"])
def test_one_person_under_two_remarks_is_named(make_photos: MakePhotos, built_in: BuiltIn | None) -> None:
    """Above the strictest built-in threshold; without one, where they are as alike as half of the members."""
    photos = make_photos(100, several=50)
    assert found(photos, built_in=built_in).suspicious == []
    photos.append(("Zhang San 2", dict(photos)["person 7"]))
    [pair, *others] = found(photos, built_in=built_in).suspicious
    assert {pair.one, pair.other} == {"person 7", "Zhang San 2"}
    assert pair.score > 0.4
    assert not others


def test_for_programs(make_photos: MakePhotos) -> None:
    """All figures, and no remark."""
    text = json.dumps(as_json(found(make_photos(110, several=30), fpir=0.03, built_in=lambda _: 0.4)))
    assert "person 1" not in text
    figures = json.loads(text)
    assert figures["searched"] == {"faces": 140, "people": 110, "people_with_several_faces": 30}
    assert figures["operating_points"][0]["own"] is None
    assert figures["operating_points"][4]["own"]["fpir"].keys() == {"share", "low", "high"}
    assert figures["operating_points"][4]["built_in"]["threshold"] == 0.4
    assert figures["proposed"]["fpir"] == 0.03
    curve = figures["curve"]
    assert (curve[0]["fpir"], curve[-1]["fpir"], curve[-1]["fnir"]) == (1.0, 0.0, 1.0)
    assert all(one["fpir"] >= other["fpir"] for one, other in pairwise(curve))


def test_for_programs_where_little_is_known(make_photos: MakePhotos) -> None:
    figures = as_json(found(make_photos(25)))
    assert figures["proposed"] is None
    assert figures["proposed_built_in"] is None
    assert figures["rank_1"] is None
    assert figures["one_to_one"] is None
    assert {point["fnir"] for point in figures["curve"]} == {None}
