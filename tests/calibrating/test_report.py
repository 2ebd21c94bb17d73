"""What an operator reads: a table, what to set, and a plain word where the gallery tells too little."""

from __future__ import annotations

from dataclasses import replace

from indexer.calibrating.findings import Findings, Line, OneToOne, Pair, Subject
from indexer.calibrating.report import MAX_PAIRS, report, too_few
from service.gallery.calibration import Calibration, OperatingPoint, Rate
from service.gallery.cross_search import People, search_all
from tests.calibrating.conftest import MakePhotos, sample_of
from tests.support.stored_faces import CONTRACT

OWN = OperatingPoint(0.467, Rate(0.0095, 0.0067, 0.0137), Rate(0.251, 0.23, 0.28))
BUILT_IN = OperatingPoint(0.485, Rate(0.0063, 0.0041, 0.012), Rate(0.3, 0.28, 0.33))


def findings(make_photos: MakePhotos, **changes: object) -> Findings:
    """Of a gallery that tells what is wanted, but for some changes."""
    people = sample_of(make_photos(30, several=10)).people
    made = Findings(
        subject=Subject(
            gallery="data",
            contract=CONTRACT,
            faces=40,
            people=30,
            score="cohort",
            wanted_fpir=0.01,
            threshold=None,
            built_in=lambda _: 0.485,
        ),
        calibration=Calibration.of(people, search_all(people, "cohort")),
        searched_faces=40,
        searched_people=30,
        lines=[Line(0.001, None, BUILT_IN), Line(0.01, OWN, BUILT_IN), Line(0.1, OWN._replace(threshold=0.4), None)],
        as_set=None,
        one_to_one=OneToOne(0.551, Rate(0.034, 0.025, 0.045)),
        suspicious=[],
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def said(findings: Findings) -> str:
    """In one line."""
    return " ".join(report(findings).split())


def test_the_figures(make_photos: MakePhotos) -> None:
    """Sizes, a line for each FPIR, and the proposal."""
    lines = report(findings(make_photos)).splitlines()
    assert lines[:6] == [
        "gallery  data",
        "model    vggface2 (weights 0123456789ab)",
        "score    cohort",
        "faces    40",
        "people   30",
        "several  10 people have two photos or more",
    ]
    at = lines.index("wanted  this gallery                                built in")
    assert lines[at + 1 : at + 5] == [
        "  FPIR  threshold  FPIR                 FNIR    threshold  FPIR                 FNIR",
        "   0.1  takes 3,000 people                          0.485  0.63 (0.41 to 1.2)     30",
        "     1      0.467  0.95 (0.67 to 1.4)     25        0.485  0.63 (0.41 to 1.2)     30",
        "    10      0.400  0.95 (0.67 to 1.4)     25",
    ]
    assert max(map(len, lines)) <= 120


def test_the_proposal(make_photos: MakePhotos) -> None:
    text = said(findings(make_photos))
    assert (
        "Proposal: FACE_THRESHOLD=0.467 for an FPIR of 1 %: 0.95 (0.67 to 1.4) % of strangers are taken for somebody, "
        "25 (23 to 28) % of members are missed." in text
    )
    assert "1:1: a similarity (cosine) of 0.551 is reached by 0.1 % of the pairs of different people" in text
    assert "3.4 (2.5 to 4.5) % of pairs of one person are below" in text
    assert "a fair sample" not in text


def test_the_built_in_threshold_is_judged(make_photos: MakePhotos) -> None:
    """By whether the wanted FPIR is within what was measured for it."""
    verdicts = {(0.004, 0.02): "as good", (0.02, 0.04): "too low for this gallery", (0.001, 0.005): "stricter than"}
    for (low, high), verdict in verdicts.items():
        point = BUILT_IN._replace(fpir=Rate((low + high) / 2, low, high))
        text = said(findings(make_photos, lines=[Line(0.01, OWN, point)]))
        assert f"FACE_THRESHOLD=auto with FACE_FPIR=0.01 is 0.485 here, which is {verdict}" in text


def test_the_threshold_that_is_set(make_photos: MakePhotos) -> None:
    """What it does here, if it is a number."""
    assert "As it is set now" not in said(findings(make_photos))
    text = said(findings(make_photos, as_set=OWN._replace(threshold=0.5)))
    assert "As it is set now, FACE_THRESHOLD=0.5: 0.95 (0.67 to 1.4) % of strangers are taken for somebody" in text


def test_too_few_people_for_the_wanted_fpir(make_photos: MakePhotos) -> None:
    """The built-in threshold stays; without one, that of a higher FPIR is proposed, if any."""
    told = "30 people can't show an FPIR of 1 %: that takes 300. "
    higher = Line(0.1, OWN, None)
    kept = findings(make_photos, lines=[Line(0.01, None, BUILT_IN), higher])
    auto = "Proposal: FACE_THRESHOLD=auto with FACE_FPIR=0.01, which is 0.485 here: 0.63 (0.41 to 1.2) % of strangers"
    assert told + auto in said(kept)
    assert "which is too low" not in said(kept)
    custom = replace(kept.subject, built_in=None, contract=replace(CONTRACT, model="custom"))
    proposed = findings(make_photos, subject=custom, lines=[Line(0.01, None, None), higher])
    assert told + "Proposal: FACE_THRESHOLD=0.467 for an FPIR of 10 %" in said(proposed)
    assert "There is no built-in threshold for the model custom." in said(proposed)
    nothing = findings(make_photos, subject=custom, lines=[Line(0.01, None, None)])
    assert f"{told}There is no proposal; register more people, mend the pairs below if there are any, " in said(nothing)
    assert "built in" not in said(nothing)


def test_few_people_can_show_that_the_built_in_threshold_is_too_low(make_photos: MakePhotos) -> None:
    """Then that of a smaller FPIR is proposed, the least that is not too low; where all are, none."""
    low, lower = (BUILT_IN._replace(threshold=each, fpir=Rate(0.05, 0.02, 0.1)) for each in (0.485, 0.47))
    high = BUILT_IN._replace(threshold=0.55)
    proposal = "Proposal: FACE_THRESHOLD=auto with FACE_FPIR=0.003, which is 0.550 here: "
    for strictest, proposed in ((high, proposal), (low, "There is no proposal; ")):
        lines = [Line(0.001, None, strictest), Line(0.003, None, strictest), Line(0.01, None, lower)]
        text = said(findings(make_photos, lines=[*lines, Line(0.1, OWN, BUILT_IN)]))
        assert proposed in text
        assert "FACE_THRESHOLD=auto with FACE_FPIR=0.01 is 0.470 here, which is too low for this gallery" in text


def test_the_bare_cosine_has_nothing_built_in(make_photos: MakePhotos) -> None:
    cosine = replace(findings(make_photos).subject, score="cosine", built_in=None)
    text = said(findings(make_photos, subject=cosine, lines=[Line(0.01, OWN, None)]))
    assert "There is no built-in threshold for FACE_SCORE=cosine." in text


def test_nobody_has_two_photos(make_photos: MakePhotos) -> None:
    people: People = sample_of(make_photos(30)).people
    calibration = Calibration.of(people, search_all(people, "cohort"))
    point = OWN._replace(fnir=None)
    one_each = findings(make_photos, calibration=calibration, lines=[Line(0.01, point, None)], one_to_one=None)
    assert "No remark has two photos, so how many members would be missed is not known; register second" in said(
        one_each
    )
    assert "taken for somebody." in said(one_each)
    assert "there are too few pairs of people" in said(one_each)
    assert report(one_each).count("–") == 1


def test_a_sample_is_called_one(make_photos: MakePhotos) -> None:
    many = replace(findings(make_photos).subject, faces=1_000_000, people=900_000)
    assert "searched 40 faces of 30 people, a fair sample" in said(findings(make_photos, subject=many))


def test_remarks_that_may_be_one_person(make_photos: MakePhotos) -> None:
    """Ten pairs at most; nothing in a remark reaches the terminal but its letters, and only some of very many."""
    assert "may be one person" not in said(findings(make_photos))
    pairs = [Pair("Zhang San 1", "Zhang\x1b[2J San", 0.71), *[Pair("a" * 1000, "b", 0.6)] * 12]
    text = report(findings(make_photos, suspicious=pairs))
    assert r"  0.710  'Zhang San 1' and 'Zhang\x1b[2J San'" in text
    assert text.count(" and 'b'") == MAX_PAIRS - 1
    assert "a" * 51 not in text
    assert text.endswith("  and 3 pairs more")


def test_too_few_people_for_anything() -> None:
    assert "The gallery has photos of 7 people" in too_few(7)
    assert "register 20 or more" in too_few(7)
