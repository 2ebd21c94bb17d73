"""Finding photos: folders with everything that real ones hold, and CSV files."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from indexer.importing import photo_files
from indexer.importing.outcomes import Line, Outcome
from indexer.importing.photo_files import REMARKS, Photo, find_photos
from indexer.importing.tables import UnreadableSource


def found(folder: Path, remark: str = "folder", encoding: str = "utf-8") -> dict[str, str | Outcome]:
    """By its path: a photo's remark, or the outcome of what isn't one."""
    return {
        str(each.path): each.remark if isinstance(each, Photo) else each.outcome
        for each in find_photos(folder, remark, encoding)()
    }


NAMES = (("gbk", "张三"), ("gb18030", "㐂𠮷"), ("big5", "陳大文"), ("shift_jis", "表示ソ"), ("euc_kr", "김철수"))
"""Letters whose second byte is a backslash in some of them."""


def touch_bytes(folder: Path, name: bytes) -> Path:
    """A file whose name has these bytes on the disk."""
    return touch(Path(os.fsdecode(os.fsencode(folder) + b"/" + name)))


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"photo")
    return path


class TestFolder:
    @pytest.mark.parametrize(
        ("remark", "expected"),
        [("folder", "Ann B."), ("file", "first.of.two"), ("path", "team/Ann B./first.of.two.jpg")],
    )
    def test_the_remark_is_what_was_asked_for(self, tmp_path: Path, remark: str, expected: str) -> None:
        path = touch(tmp_path / "team" / "Ann B." / "first.of.two.jpg")
        assert found(tmp_path, remark) == {str(path): expected}

    def test_photos_at_the_top_have_the_name_of_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However the folder was named on the command line."""
        touch(tmp_path / "a.jpg")
        monkeypatch.chdir(tmp_path)
        assert set(found(Path()).values()) == {tmp_path.name}
        (tmp_path / "inner").mkdir()
        monkeypatch.chdir(tmp_path / "inner")
        assert tmp_path.name in found(Path("..")).values()

    @pytest.mark.slow
    def test_all_files_are_found_in_order_however_large_a_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder with more names than are sorted at once loses none."""
        paths = sorted(touch(tmp_path / f"{number % 7}" / f"{number}.jpg") for number in range(100))
        assert [each.path for each in find_photos(tmp_path, "folder")()] == paths
        monkeypatch.setattr(photo_files, "SORTED_AT_ONCE", 3)
        assert sorted(str(each.path) for each in find_photos(tmp_path, "folder")()) == sorted(map(str, paths))

    def test_hidden_files_and_folders_are_named_and_passed_over(self, tmp_path: Path) -> None:
        touch(tmp_path / ".hidden" / "a.jpg")
        touch(tmp_path / "._a.jpg")
        assert set(found(tmp_path).values()) == {Outcome.HIDDEN}
        assert len(found(tmp_path)) == 2

    def test_loops_of_links_end(self, tmp_path: Path) -> None:
        """Links to a folder above, to each other, to oneself, and into nothing: each is named, all photos come once."""
        photo = touch(tmp_path / "album" / "a" / "1.jpg")
        album = tmp_path / "album"
        (album / "a" / "up").symlink_to(album)
        (album / "b").symlink_to(album / "a")
        (album / "self").symlink_to(album / "self")
        (album / "gone").symlink_to(tmp_path / "nothing")
        assert found(album) == {
            str(photo): "a",
            str(album / "a" / "up"): Outcome.LINK,
            str(album / "b"): Outcome.LINK,
            str(album / "self"): Outcome.UNREADABLE,
            str(album / "gone"): Outcome.UNREADABLE,
        }

    def test_links_out_of_the_folder_are_followed_once(self, tmp_path: Path) -> None:
        """Two links to the same folder elsewhere, and a loop in there."""
        touch(tmp_path / "elsewhere" / "1.jpg")
        (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
        album = tmp_path / "album"
        album.mkdir()
        (album / "x").symlink_to(tmp_path / "elsewhere")
        (album / "y").symlink_to(tmp_path / "elsewhere")
        assert found(album) == {
            str(album / "x" / "1.jpg"): "x",
            str(album / "x" / "loop"): Outcome.LINK,
            str(album / "y"): Outcome.LINK,
        }

    def test_a_linked_photo_is_a_photo(self, tmp_path: Path) -> None:
        target = touch(tmp_path / "elsewhere" / "1.jpg")
        link = tmp_path / "album" / "2.jpg"
        link.parent.mkdir()
        link.symlink_to(target)
        assert found(tmp_path / "album") == {str(link): "album"}

    def test_pipes_are_never_opened(self, tmp_path: Path) -> None:
        """Reading one might wait for ever."""
        os.mkfifo(tmp_path / "pipe.jpg")
        assert found(tmp_path) == {str(tmp_path / "pipe.jpg"): Outcome.NOT_A_PHOTO}

    @pytest.mark.parametrize("remark", REMARKS)
    @pytest.mark.parametrize(("encoding", "name"), NAMES)
    def test_names_are_read_in_the_encoding_that_is_said(
        self, tmp_path: Path, remark: str, encoding: str, name: str
    ) -> None:
        """Of folders and of files; the photo is found under its own name."""
        path = touch_bytes(tmp_path, f"{name}/{name}.jpg".encode(encoding))
        expected = {"folder": name, "file": name, "path": f"{name}/{name}.jpg"}[remark]
        assert found(tmp_path, remark, encoding) == {str(path): expected}

    @pytest.mark.parametrize("remark", REMARKS)
    @pytest.mark.parametrize(("encoding", "name"), NAMES)
    def test_names_that_are_not_utf8_are_failures_that_name_the_option(
        self, tmp_path: Path, remark: str, encoding: str, name: str
    ) -> None:
        """Nobody is registered under signs that nobody wrote; the photos beside them are found."""
        path = touch_bytes(tmp_path, f"{name}/{name}.jpg".encode(encoding))
        good = touch(tmp_path / "安" / "1.jpg")
        lines = {str(each.path): each for each in find_photos(tmp_path, remark)()}
        line = lines[str(path)]
        assert isinstance(line, Line)
        assert line.outcome is Outcome.REFUSED
        assert line.reason.endswith("isn't UTF-8; say what it is written in, as with --encoding gbk.")
        assert isinstance(lines[str(good)], Photo)

    def test_names_of_another_encoding_than_said_are_failures(self, tmp_path: Path) -> None:
        touch_bytes(tmp_path, b"\x81\xff/1.jpg")
        [line] = find_photos(tmp_path, "folder", "gbk")()
        assert isinstance(line, Line)
        assert line.reason == "The name of its folder isn't gbk; correct --encoding, or what is written there."

    def test_only_the_name_that_is_the_remark_is_read(self, tmp_path: Path) -> None:
        path = touch_bytes(tmp_path, b"\xff/Ann.jpg")
        assert found(tmp_path, "file") == {str(path): "Ann"}

    def test_the_folder_that_a_person_named_may_be_of_utf8_all_the_same(self, tmp_path: Path) -> None:
        root = tmp_path / "照片"
        above = touch(root / "1.jpg")
        below = touch_bytes(root, "张三/2.jpg".encode("gbk"))
        assert found(root, encoding="gbk") == {str(above): "照片", str(below): "张三"}

    def test_a_remark_that_the_gallery_refuses_is_said_here(self, tmp_path: Path) -> None:
        folder = tmp_path
        for _ in range(5):
            folder = folder / ("x" * 250)
        touch(folder / "1.jpg")
        assert set(found(tmp_path, "path").values()) == {Outcome.REFUSED}

    @pytest.mark.slow
    def test_folders_nested_more_deeply_than_functions(self, tmp_path: Path) -> None:
        folder = tmp_path
        for _ in range(1200):
            folder = folder / "d"
            folder.mkdir()
        touch(folder / "1.jpg")
        try:
            assert list(found(tmp_path).values()) == ["d"]
        finally:  # pytest's own way of removing folders is a function that calls itself
            subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)

    def test_a_folder_that_can_not_be_read_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And what comes after it is found."""
        touch(tmp_path / "a" / "1.jpg")
        later = touch(tmp_path / "b" / "1.jpg")
        scandir = os.scandir

        def failing(path: Path) -> object:
            if Path(path).name == "a":
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", failing)
        assert found(tmp_path) == {str(tmp_path / "a"): Outcome.UNREADABLE, str(later): "b"}

    @pytest.mark.slow
    def test_memory_stays_flat(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Four times as many files take no more memory: none are gathered."""
        monkeypatch.setattr(photo_files, "SORTED_AT_ONCE", 50)

        def peak(folder: Path, count: int) -> int:
            for number in range(count):
                touch(folder / f"{number:05}.jpg")
            tracemalloc.start()
            assert sum(1 for _ in find_photos(folder, "folder")()) == count
            size = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return size

        small = peak(tmp_path / "small", 500)
        assert peak(tmp_path / "large", 2000) < small * 1.2

    def test_a_source_that_is_not_there_is_said_in_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(UnreadableSource, match=r"can't be read .*; name a folder of photos or a CSV file\.$"):
            find_photos(tmp_path / "nothing", "folder")


class TestCsv:
    def test_rows_are_photos_with_remarks(self, tmp_path: Path) -> None:
        """Paths relative to the file or absolute; remarks of any Unicode, commas and lines, as a spreadsheet saves."""
        touch(tmp_path / "photos" / "1.jpg")
        touch(tmp_path / "2.jpg")
        table = tmp_path / "people.csv"
        table.write_text(f'\ufeffpath,remark\r\nphotos/1.jpg,"Ann, 安\nB"\r\n\r\n{tmp_path}/2.jpg,Bob\r\n', "utf-8")
        assert found(table) == {str(tmp_path / "photos" / "1.jpg"): "Ann, 安\nB", str(tmp_path / "2.jpg"): "Bob"}

    def test_bad_rows_are_named_and_the_others_imported(self, tmp_path: Path) -> None:
        good = touch(tmp_path / "1.jpg")
        (tmp_path / "folder").mkdir()
        table = tmp_path / "people.csv"
        table.write_text("path,remark\nmissing.jpg,x\n1.jpg\nfolder,x\n1.jpg,\n1.jpg,a,b\n1.jpg,Ann\n")
        lines = list(find_photos(table, "folder")())
        assert [each.outcome.value for each in lines if isinstance(each, Line)] == [
            *("unreadable", "refused", "not a photo", "refused", "refused"),
        ]
        assert [each.remark for each in lines if isinstance(each, Photo)] == ["Ann"]
        assert lines[1] == Line(
            str(table), Outcome.REFUSED, reason="Line 3 of the CSV file is not `path,remark`; correct it."
        )
        assert lines[-1].path == good

    @pytest.mark.parametrize("first", ["", "1.jpg,Ann", "\xff\xd8\xff", "\xff\xfe\x00"])
    def test_a_file_without_the_heading_is_refused(self, tmp_path: Path, first: str) -> None:
        """Also a photo that is named by mistake."""
        table = tmp_path / "people.csv"
        table.write_bytes(first.encode("latin-1") + b"\n1.jpg,Ann\n")
        with pytest.raises(UnreadableSource, match="its first line is not `path,remark`"):
            find_photos(table, "folder")

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_what_spreadsheets_save_is_read(self, tmp_path: Path, separator: str, encoding: str) -> None:
        """Whichever sign separates, whatever begins the file, further columns in any order, and empty rows."""
        photo = touch(tmp_path / "安.jpg")
        rows = (("No", "Remark", "Path", "Age"), ("1", "张三, A;B", "安.jpg", "50"), ("", "", "", ""))
        table = tmp_path / "people.csv"
        with table.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=separator).writerows(rows)
        assert found(table) == {str(photo): "张三, A;B"}

    @pytest.mark.parametrize(
        ("heading", "problem"),
        [
            ("path,name", "has no column `remark`, only path, name; correct it."),
            ("file;remark;age", "has no column `path`, only file, remark, age; correct it."),
            ("path,remark,remark", "has more than one column `remark`, only path, remark, remark; correct it."),
        ],
    )
    def test_a_column_that_is_missing_or_there_twice_is_named(self, tmp_path: Path, heading: str, problem: str) -> None:
        table = tmp_path / "people.csv"
        table.write_text(f"{heading}\n1.jpg,Ann\n")
        with pytest.raises(UnreadableSource, match=re.escape(problem)):
            find_photos(table, "folder")

    @pytest.mark.parametrize("on_disk", ["utf-8", "gbk"])
    def test_a_table_is_read_in_the_encoding_that_is_said(self, tmp_path: Path, on_disk: str) -> None:
        """Its paths are those of files whose names are written as in the table, or in UTF-8."""
        photo = touch_bytes(tmp_path, "张三/1.jpg".encode(on_disk))
        table = tmp_path / "people.csv"
        table.write_bytes("path,remark\n张三/1.jpg,张三\n".encode("gbk"))
        assert found(table, encoding="gbk") == {str(photo): "张三"}

    def test_a_table_of_utf8_may_list_files_with_names_in_another_encoding(self, tmp_path: Path) -> None:
        photo = touch_bytes(tmp_path, "张三.jpg".encode("gbk"))
        table = tmp_path / "people.csv"
        table.write_text("\ufeffpath,remark\n张三.jpg,张三\n", "utf-8")
        assert found(table, encoding="gbk") == {str(photo): "张三"}

    def test_remarks_that_are_not_utf8_are_failures_that_name_the_option(self, tmp_path: Path) -> None:
        """Line by line; the bytes of a path are its file's name, whatever they are."""
        touch(tmp_path / "1.jpg")
        photo = touch_bytes(tmp_path, "张三.jpg".encode("gbk"))
        table = tmp_path / "people.csv"
        table.write_bytes(b"path,remark\n1.jpg,%b\n%b.jpg,Ann\n" % ("张三".encode("gbk"), "张三".encode("gbk")))
        bad, good = find_photos(table, "folder")()
        assert isinstance(bad, Line)
        assert bad.reason == (
            "The remark in line 2 of the CSV file isn't UTF-8; say what it is written in, as with --encoding gbk."
        )
        assert (good.path, getattr(good, "remark", None)) == (photo, "Ann")

    def test_a_table_that_breaks_off_within_a_letter_is_read_up_to_there(self, tmp_path: Path) -> None:
        touch(tmp_path / "1.jpg")
        table = tmp_path / "people.csv"
        table.write_bytes("path,remark\n1.jpg,Ann\n1.jpg,B".encode("utf-16") + b"o")
        items = list(find_photos(table, "folder")())
        assert isinstance(items[-1], Line)
        assert items[-1].reason.endswith("aren't utf-16; correct it.")

    def test_rows_are_read_as_they_are_needed(self, tmp_path: Path) -> None:
        """The first of a million comes before the second was looked for."""
        touch(tmp_path / "1.jpg")
        table = tmp_path / "people.csv"
        table.write_text("path,remark\n" + "1.jpg,Ann\n" * 1000)
        items = find_photos(table, "folder")()
        assert len(list(islice(items, 3))) == 3
        (tmp_path / "1.jpg").unlink()
        assert isinstance(next(items), Line)
