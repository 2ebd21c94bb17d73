"""`make evaluate` on a few photos, with the real engine, gallery and store; and what it says to what it can't use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.bench.evaluation.__main__ import main
from tests.conftest import MODELS

ENVIRON = {"FACE_MODEL": "casia-webface", "FACE_MODEL_DIR": str(MODELS)}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept under .bench is the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_pairs(album: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cat is no face, so its pair is an error; a second run asks the engine nothing."""
    (album / "cat.png").write_bytes((photos / "chelsea.png").read_bytes())
    rows = ["obama/1.jpg,obama/2.jpg,1", "obama/1.jpg,biden/1.jpg,0", "obama/2.jpg,cat.png,0"]
    table = album / "pairs.csv"
    table.write_text("\n".join(["a,b,same", *rows * 10]))
    results = []
    for name in ("first.json", "second.json"):
        assert main(ENVIRON, ["--pairs", str(table), "--json", name]) == 0
        results.append(json.loads(Path(name).read_text()))
        printed = capsys.readouterr()
        assert "4 photos.\n1 refused, face_not_found:" in printed.out
        assert ("4 of 4 photos" in printed.err) is (name == "first.json")
    assert results[0] == results[1]
    assert results[0]["pairs"][0]["accuracy"] == pytest.approx(2 / 3)
    assert list(results[0]["refused"]) == ["face_not_found"]


@pytest.mark.slow
def test_a_gallery(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By an index that says who is a member: obama is found, and the astronaut is not taken for biden."""
    index = album / "index.csv"
    roles = [("obama/1", "gallery"), ("obama/2", "probe"), ("biden/1", "gallery"), ("astronaut/1", "unknown")]
    rows = [f"{name}.jpg,{name.partition('/')[0]},{role}" for name, role in roles]
    index.write_text("\n".join(["path,identity,role", *rows]))
    assert main(ENVIRON, ["--gallery", str(index), "--draws", "1", "--sizes", "2", "--json", "results.json"]) == 0
    results = json.loads(Path("results.json").read_text())
    assert results["groups"] == ["others"]
    for gallery in results["galleries"]:
        assert (gallery["composition"], gallery["people"], gallery["faces"]) == ("all people", 2, 2)
        assert gallery["draws"] == [{"member_searches": 1, "stranger_searches": 1, "rank_1": 1, "rank_5": 1}]
    assert "cohort, 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--pairs", "none.csv"], "There is no file none.csv; name one that exists."),
        (["--gallery", "none"], "There is no none; name a folder with a folder for each person, or a CSV file."),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ENVIRON, arguments) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name PAIRS=FILE or GALLERY=FOLDER, and not both"),
        (["--pairs", "a", "--gallery", "b"], "Name PAIRS=FILE or GALLERY=FOLDER, and not both"),
        (["--gallery", "b", "--sizes", "20,many"], "argument --sizes"),
        (["--gallery", "b", "--draws", "0"], "argument --draws"),
        (["--gallery", "b", "--train", "c"], "TRAIN and REFERENCE go with PAIRS"),
        (["--pairs", "b", "--groups", "c"], "GROUPS goes with GALLERY"),
    ],
)
def test_options_that_do_not_fit(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main({}, arguments)
    assert sentence in capsys.readouterr().err
