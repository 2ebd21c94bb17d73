"""Tables and folders as people have them, and a sentence for each that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.bench.evaluation.sources import Pair, Portrait, UnusableSource, read_groups, read_pairs, read_people


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos of three people, as LFW names them; ann and bob have two."""
    for name in ("ann/ann_0001", "ann/ann_0002", "bob/bob_0001", "bob/bob_0002", "cy/cy_0001"):
        path = tmp_path / "photos" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


ROWS = "photos/ann/ann_0001.jpg,photos/ann/ann_0002.jpg,1\nphotos/ann/ann_0001.jpg,photos/bob/bob_0001.jpg,0\n"


class TestPairs:
    @pytest.mark.parametrize("header", ["", "a,b,same\n", "path a,path b,is same\n", "\ufeffa,b,same\n"])
    def test_a_csv_with_a_header_or_without(self, root: Path, table: Path, header: str) -> None:
        table.write_text(header + ROWS, encoding="utf-8")
        one, two = root / "ann" / "ann_0001.jpg", root / "ann" / "ann_0002.jpg"
        assert read_pairs(table, None) == [
            Pair(one, two, same=True),
            Pair(one, root / "bob" / "bob_0001.jpg", same=False),
        ]

    def test_paths_are_relative_to_the_root(self, root: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "tables" / "pairs.csv"
        elsewhere.parent.mkdir()
        elsewhere.write_text(ROWS)
        assert len(read_pairs(elsewhere, tmp_path)) == 2
        with pytest.raises(
            UnusableSource, match=r"ann_0001\.jpg and 2 more, where no file is; name the folder .* ROOT="
        ):
            read_pairs(elsewhere, None)

    def test_lfws_own_table(self, root: Path, table: Path) -> None:
        """Two sets, each with one pair of one person and one of two."""
        table.write_text("2\t1\nann\t1\t2\nann\t1\tbob\t1\nbob\t1\t2\nbob\t2\tcy\t1\n")
        pairs = read_pairs(table, root)
        assert [(pair.same, pair.fold) for pair in pairs] == [(True, 0), (False, 0), (True, 1), (False, 1)]
        assert pairs[3].b == root / "cy" / "cy_0001.jpg"
        with pytest.raises(UnusableSource, match="ROOT=FOLDER"):
            read_pairs(table, None)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("a,b\n", "Line 1 .* must be `path a,path b,same`"),
            (ROWS + "x.jpg,y.jpg,perhaps\n", "Line 3 .* must be `path a,path b,same`"),
            (ROWS.splitlines()[0], "must have pairs of one person and pairs of two"),
            ("", "must have pairs of one person and pairs of two"),
            ("1 1\nann one two\n", "Line 2 .* is none of LFW's pairs"),
        ],
    )
    def test_a_table_of_something_else(self, root: Path, table: Path, text: str, sentence: str) -> None:
        table.write_text(text)
        with pytest.raises(UnusableSource, match=sentence):
            read_pairs(table, root)

    def test_a_table_that_is_missing(self, table: Path) -> None:
        with pytest.raises(UnusableSource, match=r"There is no file .*table\.csv; name one that exists\."):
            read_pairs(table, None)

    def test_a_photo_instead_of_a_table(self, table: Path) -> None:
        table.write_bytes(b"\xff\xd8\xff\xe0")
        with pytest.raises(UnusableSource, match=r"can't be read as text"):
            read_pairs(table, None)


class TestPeople:
    def test_a_folder_for_each_person(self, root: Path) -> None:
        (root / "readme.txt").touch()
        people = read_people(root, None)
        assert [each.identity for each in people] == ["ann", "ann", "bob", "bob", "cy"]
        assert people[0] == Portrait(root / "ann" / "ann_0001.jpg", "ann")

    def test_an_index_with_roles(self, root: Path, table: Path) -> None:
        table.write_text(
            "path,identity,role\nann/ann_0001.jpg,ann,gallery\nann/ann_0002.jpg,ann,probe\ncy/cy_0001.jpg,cy,unknown\n"
        )
        assert [each.role for each in read_people(table, root)] == ["gallery", "probe", "unknown"]

    def test_an_index_without_roles(self, root: Path, table: Path) -> None:
        table.write_text("identity,path\nann,ann/ann_0001.jpg\nann,ann/ann_0002.jpg\ncy,cy/cy_0001.jpg\n")
        assert [each.role for each in read_people(table, root)] == [None] * 3

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("photo,name\n", "must name the columns path, identity and, if wanted, role"),
            ("path,identity,role\nann/ann_0001.jpg,ann,member\n", "Line 2 .* has the role member; it must be"),
            ("path,identity,role\nann/ann_0001.jpg,ann,probe\ncy/cy_0001.jpg,cy,\n", "gives some photos a role"),
            ("path,identity\nann/ann_0001.jpg,\n", "Line 2 .* lacks a path or an identity"),
            ("path,identity\nann/ann_0001.jpg,ann\ncy/cy_0001.jpg,cy\n", "Nobody in .* has two photos"),
            ("path,identity\nann/ann_0001.jpg,ann\nann/ann_0002.jpg,ann\n", "has one person only"),
            ("path,identity,role\nann/ann_0001.jpg,ann,gallery\ncy/cy_0001.jpg,cy,probe\n", "one as a probe"),
            ("path,identity\nann/ann_0001.jpg,ann\nann/1.jpg,ann\ncy/cy_0001.jpg,cy\n", r"1\.jpg, where no file is"),
        ],
    )
    def test_an_index_that_cannot_be_used(self, root: Path, table: Path, text: str, sentence: str) -> None:
        table.write_text(text)
        with pytest.raises(UnusableSource, match=sentence):
            read_people(table, root)

    def test_a_folder_without_people(self, tmp_path: Path) -> None:
        with pytest.raises(UnusableSource, match="make one for each person"):
            read_people(tmp_path, None)


class TestGroups:
    def test_who_is_in_no_file_is_one_of_the_others(self, tmp_path: Path) -> None:
        (tmp_path / "first.txt").write_text("ann\nsomebody else\n")
        assert read_groups([tmp_path / "first.txt"], ["ann", "bob"]) == {"ann": "first", "bob": "others"}
        assert read_groups([], ["ann"]) == {"ann": "others"}

    @pytest.mark.parametrize(
        ("first", "second", "sentence"),
        [
            ("nobody\n", "bob\n", r"first\.txt names none of the people"),
            ("ann\n", "ann\n", r"second\.txt names ann, whom another group has too"),
            ("ann\n", "bob\n", "name all of the people"),
        ],
    )
    def test_groups_that_cannot_be_compared(self, tmp_path: Path, first: str, second: str, sentence: str) -> None:
        files = [tmp_path / "first.txt", tmp_path / "second.txt"]
        for file, text in zip(files, (first, second), strict=True):
            file.write_text(text)
        with pytest.raises(UnusableSource, match=sentence):
            read_groups(files, ["ann", "bob"])
