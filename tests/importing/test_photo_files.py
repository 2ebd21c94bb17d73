"""Finding photos: folders with everything that real ones hold, and CSV files."""

from __future__ import annotations

import os
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from indexer.importing import photo_files
from indexer.importing.outcomes import Line, Outcome
from indexer.importing.photo_files import Photo, UnreadableSource, find_photos


def found(folder: Path, remark: str = "folder") -> dict[str, str | Outcome]:
    """By its path: a photo's remark, or the outcome of what isn't one."""
    return {
        str(each.path): each.remark if isinstance(each, Photo) else each.outcome
        for each in find_photos(folder, remark)()
    }


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

    def test_names_that_are_not_utf8_become_remarks(self, tmp_path: Path) -> None:
        """The photo is found under its own name; its remark is Unicode all the same."""
        folder = os.fsencode(tmp_path) + b"/J\xf6rg"
        os.mkdir(folder)  # noqa: PTH102 - bytes, as the disk has them
        path = touch(Path(os.fsdecode(folder)) / "1.jpg")
        assert found(tmp_path) == {str(path): "J�rg"}

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
        assert list(found(tmp_path).values()) == ["d"]

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

    @pytest.mark.parametrize("first", ["", "path;remark", "1.jpg,Ann", "\xff\xd8\xff"])
    def test_a_file_without_the_heading_is_refused(self, tmp_path: Path, first: str) -> None:
        """Also a photo that is named by mistake."""
        table = tmp_path / "people.csv"
        table.write_bytes(first.encode("latin-1") + b"\n1.jpg,Ann\n")
        with pytest.raises(UnreadableSource, match="its first line is not `path,remark`"):
            find_photos(table, "folder")

    def test_rows_are_read_as_they_are_needed(self, tmp_path: Path) -> None:
        """The first of a million comes before the second was looked for."""
        touch(tmp_path / "1.jpg")
        table = tmp_path / "people.csv"
        table.write_text("path,remark\n" + "1.jpg,Ann\n" * 1000)
        items = find_photos(table, "folder")()
        assert len(list(islice(items, 3))) == 3
        (tmp_path / "1.jpg").unlink()
        assert isinstance(next(items), Line)
