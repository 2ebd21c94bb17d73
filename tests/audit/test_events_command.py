"""`face-indexer events`: the trail as people and programs read it, and a name that has to leave it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import pytest

from indexer.commands import events
from service.audit.events import Subject
from service.audit.trail_file import TrailFile
from service.errors import AuditUnavailable, InvalidSettings
from service.settings import Settings
from tests.audit.test_trail_file import BOB, ZOE, event, put, raw


@pytest.fixture
def settings(path: Path, file: TrailFile) -> Settings:
    put(file, event(1, ZOE), event(2, BOB, gallery="staff"), event(3, caller="key:desk", gallery=None))
    put(file, event(4, Subject(remark="a\x1b[2Jb\n")), event(5, outcome="face_not_found"))
    return Settings(audit=path)


async def said(settings: Settings, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    parser = ArgumentParser()
    events.arguments(parser)
    assert await events.run(settings, parser.parse_args(words)) == 0
    return capsys.readouterr().out.splitlines()


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_a_line_for_each_event(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of a remark reaches the terminal as a command."""
    lines = await said(settings, capsys)
    assert len(lines) == 5
    assert lines[0].split() == [
        *("1", "2026-11-26", "10:00:01", "door-7", "recognise", "ok", "default", "Zoë", "Quux-77", "#7", "0.713"),
    ]
    assert lines[3].endswith(" a?[2Jb?")
    assert lines[4].split()[5:] == ["face_not_found", "default", "nobody"]


async def test_some_of_the_events(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for words, numbers in (
        (("--after", "3"), [4, 5]),
        (("--after", "-1"), [1, 2, 3, 4, 5]),
        (("--after", "9" * 40), []),
        (("--remark", "Bob"), [2]),
        (("--gallery", "staff"), [2]),
        (("--caller", "key:desk"), [3]),
    ):
        lines = await said(settings, capsys, "--json", *words)
        assert [json.loads(line)["id"] for line in lines] == numbers, words


async def test_a_line_of_json_has_everything(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads((await said(settings, capsys, "--json"))[0]) == {
        "id": 1,
        "at": "2026-11-26T10:00:01+00:00",
        "request_id": f"{1:016x}",
        "caller": "door-7",
        "client": "192.0.2.7",
        "operation": "recognise",
        "route": "POST /recognition_face",
        "gallery": "default",
        "outcome": "ok",
        "subjects": [{"remark": ZOE.remark, "face_id": 7, "score": 0.7134, "erased": False}],
    }


async def test_a_name_is_erased(settings: Settings, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the trails of other services, which no deletion reaches."""
    assert await said(settings, capsys, "--erase", str(ZOE.remark)) == []
    assert "(erased) #7" in (await said(settings, capsys))[0]
    assert b"Quux-77" not in raw(path)


async def test_without_a_trail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says what to set; no file is made by looking."""
    with pytest.raises(InvalidSettings, match="FACE_AUDIT is not set"):
        await said(Settings(), capsys)
    with pytest.raises(AuditUnavailable, match="no service has begun it"):
        await said(Settings(audit=tmp_path / "none.sqlite"), capsys)
    assert names_in(tmp_path) == []
