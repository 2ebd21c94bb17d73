"""The pipeline with the real engine and the real store: what becomes of every kind of file, and what is bounded."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter

from indexer.importing.failures import CannotGoOn
from indexer.importing.gallery_writer import GalleryWriter
from indexer.importing.journal import Journal
from indexer.importing.outcomes import Outcome
from indexer.importing.photo_files import find_photos
from indexer.importing.pipeline import Pipeline, Target
from indexer.importing.report import Report
from indexer.progress import Progress
from service.gallery.choices import every, largest, single
from service.gallery.enrollment import Candidate, observe_candidate
from service.stores.store import Store
from service.timings import Timings
from service.values import DEFAULT_GALLERY
from service.vision.engine import Engine
from service.vision.preparation import Choice
from tests.support.device import jpeg, variants

pytestmark = pytest.mark.slow

MAX_BYTES = 2**20


class Bench:
    """Runs imports of one folder into one store, and counts how many photos were observed, and at once."""

    def __init__(self, folder: Path, engine: Engine, store: Store) -> None:
        self.folder = folder
        self.engine = engine
        self.store = store
        self.observed = self.at_once = self.most_at_once = 0
        self.choose: Choice = largest(0.9)
        self.lines: dict[str, Outcome] = {}
        self.reasons: dict[str, str] = {}

    async def observe(self, content: bytes, _: str) -> Candidate:
        self.observed += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await observe_candidate(
                self.engine, content, self.choose, Timings(), picture_side=480, quality="standard"
            )
        finally:
            self.at_once -= 1

    async def run(
        self,
        limit: int | None = None,
        settle_s: float = 0.0,
        wrap: Callable[[GalleryWriter], GalleryWriter] = lambda writer: writer,
        stop: Callable[[Pipeline], None] = lambda _: None,
    ) -> dict[Outcome, int]:
        """What there was of each outcome."""
        self.lines.clear()
        self.observed = 0
        path = self.folder.parent / "report.jsonl"
        writer = wrap(GalleryWriter(self.store, lambda: datetime.now(UTC)))
        target = Target(observe=self.observe, write=writer.write, in_flight=6, max_bytes=MAX_BYTES)
        with (
            closing(Journal.open(self.folder.parent / "journal.sqlite", "")) as journal,
            Report(path) as report,
            Progress(None, "files", stream=io.StringIO()) as progress,
        ):
            journal.forget_transient()
            pipeline = Pipeline(target, journal, report, progress, settle_s)
            stop(pipeline)
            await pipeline.run(find_photos(self.folder, "folder")(), limit)
        for line in map(json.loads, path.read_text().splitlines()):
            name = line["path"].removeprefix(f"{self.folder}/")
            self.lines[name], self.reasons[name] = Outcome(line["outcome"]), line["reason"]
        return dict(report.counts)


@pytest.fixture
def bench(album: Path, engine: Engine, store: Store) -> Bench:
    return Bench(album, engine, store)


async def remarks(store: Store) -> list[str]:
    return sorted([face.remark async for face in store.scan(gallery=DEFAULT_GALLERY)])


async def test_every_photo_is_registered_under_its_folder(bench: Bench) -> None:
    """With the picture, box and number that the service would have given it."""
    assert await bench.run() == {Outcome.REGISTERED: 4}
    assert await remarks(bench.store) == ["astronaut", "biden", "obama", "obama"]


async def test_a_second_run_adds_and_observes_nothing(bench: Bench) -> None:
    await bench.run()
    assert await bench.run() == {Outcome.KNOWN: 4}
    assert bench.observed == 0
    assert await bench.store.count() == 4


async def test_touched_and_moved_photos_are_not_observed(bench: Bench) -> None:
    """They are read, and known by their bytes."""
    await bench.run()
    os.utime(bench.folder / "biden" / "1.jpg", ns=(1, 1))
    (bench.folder / "obama" / "1.jpg").rename(bench.folder / "obama" / "moved.jpg")
    assert await bench.run() == {Outcome.KNOWN: 4}
    assert bench.observed == 0


async def test_a_lost_journal_costs_time_only(bench: Bench) -> None:
    await bench.run()
    (bench.folder.parent / "journal.sqlite").unlink()
    assert await bench.run() == {Outcome.KNOWN: 4}
    assert bench.observed == 4
    assert await bench.store.count() == 4


async def test_a_removed_face_does_not_come_back(bench: Bench) -> None:
    """Somebody removed it for a reason; the journal knows the photo."""
    await bench.run()
    (biden,) = [face async for face in bench.store.scan(gallery=DEFAULT_GALLERY) if face.remark == "biden"]
    await bench.store.remove(biden.face_id, gallery=DEFAULT_GALLERY)
    await bench.run()
    assert await remarks(bench.store) == ["astronaut", "obama", "obama"]


async def test_bad_files_are_named_and_never_fatal(bench: Bench, photos: Path) -> None:
    """Each kind with its own outcome, and the good ones are imported."""
    folder, good = bench.folder, (bench.folder / "biden" / "1.jpg").read_bytes()
    (folder / "empty.jpg").touch()
    (folder / "empty").touch()
    (folder / "truncated.jpg").write_bytes(good[: len(good) // 2])
    (folder / "text.jpg").write_text("not a photo")
    (folder / "notes.txt").write_text("notes")
    (folder / "film.mp4").write_bytes(b"x" * (MAX_BYTES + 1))
    (folder / "large.jpg").write_bytes(good + b"x" * MAX_BYTES)
    (folder / "cat.png").write_bytes((photos / "chelsea.png").read_bytes())
    (folder / "tiny.png").write_bytes(jpeg(Image.new("RGB", (16, 10))))
    (folder / "bomb.png").write_bytes(_png_header(60_000, 60_000))
    (folder / "no suffix").write_bytes(good)
    (folder / "gone.jpg").symlink_to(folder / "nothing")
    await bench.run()
    assert {name: outcome.value for name, outcome in bench.lines.items() if "/" not in name} == {
        "empty.jpg": "unreadable",
        "empty": "not a photo",
        "truncated.jpg": "unreadable",
        "text.jpg": "unreadable",
        "notes.txt": "not a photo",
        "film.mp4": "not a photo",
        "large.jpg": "too large",
        "cat.png": "no face",
        "tiny.png": "too small",
        "bomb.png": "too large",
        "no suffix": "registered",
        "gone.jpg": "unreadable",
    }
    assert all(bench.reasons[name].endswith(".") for name, outcome in bench.lines.items() if outcome.is_failure), (
        bench.reasons
    )
    assert await bench.store.count() == 5
    failures = {name: outcome for name, outcome in bench.lines.items() if outcome.is_failure}
    await bench.run()
    assert {name: outcome for name, outcome in bench.lines.items() if outcome.is_failure} == failures
    assert bench.observed == 0


def _png_header(width: int, height: int) -> bytes:
    """A PNG that says it is so large; its pixels are missing."""
    out = io.BytesIO()
    Image.new("L", (1, 1)).save(out, "PNG")
    content = bytearray(out.getvalue())
    content[16:24] = width.to_bytes(4) + height.to_bytes(4)

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


async def test_poor_faces_are_reported_for_what_they_are(bench: Bench, portraits: dict[str, bytes]) -> None:
    """Where all faces of a photo are wanted, a poor one is left out and the others are registered."""
    for each in bench.folder.rglob("*.jpg"):
        each.unlink()
    obama, biden = (Image.open(io.BytesIO(portraits[name])) for name in ("obama", "biden"))
    smear = obama.filter(ImageFilter.GaussianBlur(5))
    (bench.folder / "blurred.jpg").write_bytes(jpeg(smear))
    (bench.folder / "dark.jpg").write_bytes(jpeg(obama.point(lambda value: value * 0.08)))
    pair = Image.new("RGB", (480, 300))
    pair.paste(smear, (0, 0))
    pair.paste(biden, (240, 0))
    (bench.folder / "pair.jpg").write_bytes(jpeg(pair))
    bench.choose = every(0.9)
    assert await bench.run() == {Outcome.BLURRED: 1, Outcome.DARK: 1, Outcome.REGISTERED: 1}
    assert bench.reasons["blurred.jpg"] == "The face is out of focus; hold still or clean the lens."
    assert await bench.store.count() == 1


async def test_faces_are_chosen_as_asked(bench: Bench, portraits: dict[str, bytes]) -> None:
    """Of two people in a photo: the largest, none and a word of it, or both, each under a number of its own."""
    pair = Image.new("RGB", (480, 300))
    for name, left in (("obama", 0), ("biden", 240)):
        pair.paste(Image.open(io.BytesIO(portraits[name])), (left, 0))
    for each in bench.folder.rglob("*.jpg"):
        each.unlink()
    (bench.folder / "pair.jpg").write_bytes(jpeg(pair))
    bench.choose = single(0.9)
    assert await bench.run() == {Outcome.SEVERAL_FACES: 1}
    (bench.folder.parent / "journal.sqlite").unlink()
    bench.choose = largest(0.9)
    assert await bench.run() == {Outcome.REGISTERED: 1}
    (bench.folder.parent / "journal.sqlite").unlink()
    bench.choose = every(0.9)
    assert await bench.run() == {Outcome.KNOWN: 1, Outcome.REGISTERED: 1}
    assert await bench.store.count() == 2


async def test_a_photo_that_becomes_readable_is_taken_next_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed for a reason outside of the photo isn't held against it."""
    read = Path.open

    def failing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.parent.name == "biden":
            raise OSError(5, "Input/output error")
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing)
    assert await bench.run() == {Outcome.REGISTERED: 3, Outcome.UNREADABLE: 1}
    assert bench.reasons["biden/1.jpg"] == "It can't be read: Input/output error."
    monkeypatch.undo()
    assert await bench.run() == {Outcome.KNOWN: 3, Outcome.REGISTERED: 1}


async def test_an_unforeseen_error_is_one_photo_s(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    observe = bench.observe

    async def failing(content: bytes, remark: str) -> Candidate:
        if remark == "biden":
            raise ZeroDivisionError
        return await observe(content, remark)

    monkeypatch.setattr(bench, "observe", failing)
    assert await bench.run() == {Outcome.REGISTERED: 3, Outcome.FAILED: 1}


async def test_limit_counts_new_photos(bench: Bench) -> None:
    """So the same command, repeated, imports a large folder in portions."""
    assert await bench.run(limit=3) == {Outcome.REGISTERED: 3}
    assert await bench.run(limit=3) == {Outcome.KNOWN: 3, Outcome.REGISTERED: 1}


async def test_no_more_than_the_bound_is_in_flight(bench: Bench, portraits: dict[str, bytes]) -> None:
    """However many files there are."""
    for number, photo in enumerate(variants(portraits["biden"], 60)):
        (bench.folder / "biden" / f"{number}x.jpg").write_bytes(photo)
    assert await bench.run() == {Outcome.REGISTERED: 64}
    assert bench.most_at_once == 6


async def test_stopping_finishes_what_is_in_flight(bench: Bench, portraits: dict[str, bytes]) -> None:
    """What was observed is in the gallery and in the journal; the rest is imported by the next run."""
    for number, photo in enumerate(variants(portraits["biden"], 60)):
        (bench.folder / "biden" / f"{number}x.jpg").write_bytes(photo)

    def soon(pipeline: Pipeline) -> None:
        async def observe(content: bytes, remark: str) -> Candidate:
            if bench.observed == 10:
                pipeline.stopping.set()
            return await bench.observe(content, remark)

        pipeline.target = replace(pipeline.target, observe=observe)

    first = (await bench.run(stop=soon))[Outcome.REGISTERED]
    assert 0 < first < 64
    assert bench.observed == first == await bench.store.count()
    assert await bench.run() == {Outcome.KNOWN: first, Outcome.REGISTERED: 64 - first}


async def test_a_file_that_is_being_written_waits(bench: Bench) -> None:
    """While watching, a photo that was changed just now is left alone, and is imported once it rests."""
    good = (bench.folder / "biden" / "1.jpg").read_bytes()
    for each in bench.folder.rglob("*.jpg"):
        os.utime(each, (1, 1))
    (bench.folder / "biden" / "2.jpg").write_bytes(good[:100])
    assert await bench.run(settle_s=60) == {Outcome.REGISTERED: 4}
    (bench.folder / "biden" / "2.jpg").write_bytes(good + b"2")
    os.utime(bench.folder / "biden" / "2.jpg", (1, 1))
    assert await bench.run(settle_s=60) == {Outcome.KNOWN: 4, Outcome.REGISTERED: 1}


async def test_a_gallery_that_stays_away_stops_the_import(bench: Bench) -> None:
    """Nothing is claimed that the gallery doesn't have; the next run imports all."""

    def away(writer: GalleryWriter) -> GalleryWriter:
        async def write(_: object) -> list[list[object]]:
            raise CannotGoOn("The gallery was away.")

        writer.write = write  # type: ignore[assignment, method-assign]
        return writer

    with pytest.raises(CannotGoOn):
        await bench.run(wrap=away)
    assert await bench.run() == {Outcome.REGISTERED: 4}


async def test_a_photo_that_changes_meanwhile_is_said_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no broken photo, and the next run takes it."""
    path = bench.folder / "biden" / "1.jpg"
    observe = bench.observe

    async def change(content: bytes, remark: str) -> Candidate:
        if remark == "biden":
            path.write_bytes(b"half")
            content = content[:100]
        return await observe(content, remark)

    monkeypatch.setattr(bench, "observe", change)
    assert await bench.run() == {Outcome.REGISTERED: 3, Outcome.FAILED: 1}
    assert bench.reasons["biden/1.jpg"] == "It changed while it was read; run again once it is whole."
