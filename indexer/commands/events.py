"""`python -m indexer events`: shows the audit trail, and erases a person's name in it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from service.audit.events import Erasure, Event, Selection, Subject
from service.audit.trail_file import TrailFile
from service.errors import AuditUnavailable, InvalidSettings
from service.settings import Settings
from service.values import DEFAULT_GALLERY

PAGE = 1000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which events are shown, and how."""
    parser.add_argument("--after", type=int, default=0, metavar="ID", help="only events behind this one")
    parser.add_argument("--remark", help="only events about this person")
    parser.add_argument("--caller", metavar="NAME", help="only events of this device, or of key:NAME")
    parser.add_argument("--gallery", metavar="NAME", help="only events of this gallery")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each event")
    parser.add_argument(
        "--erase", metavar="REMARK", help="show nothing, but erase this person's name in the events of a gallery"
    )


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the events of the file FACE_AUDIT, the oldest first; 0. A service may be writing it meanwhile.

    Raises InvalidSettings where FACE_AUDIT isn't set, AuditUnavailable where the file isn't there or can't be used.
    """
    if settings.audit is None:
        raise InvalidSettings("FACE_AUDIT is not set, so nothing is written down; set it to the file of the trail.")
    if not settings.audit.exists():
        raise AuditUnavailable(f"There is no audit trail FACE_AUDIT={str(settings.audit)!r}; no service has begun it.")
    if arguments.erase is not None:
        _erase(settings.audit, Erasure(gallery=arguments.gallery or DEFAULT_GALLERY, remark=arguments.erase))
        return 0
    show = as_json if arguments.json else as_line
    galleries = None if arguments.gallery is None else [arguments.gallery]
    wanted = Selection(
        after=max(0, min(arguments.after, 2**62)),
        limit=PAGE,
        galleries=galleries,
        remark=arguments.remark,
        caller=arguments.caller,
    )
    for event in _events(settings.audit, wanted):
        print(show(event))
    return 0


def as_json(event: Event) -> str:
    """All that is known, with the names of /v1/events."""
    told = {"id": event.number, **asdict(event), "at": event.at.isoformat()}
    del told["number"]
    return json.dumps(told, ensure_ascii=False)


def as_line(event: Event) -> str:
    """What people want to read."""
    parts = (f"{event.number:>8}", f"{event.at:%Y-%m-%d %H:%M:%S}", f"{event.caller:<16}", f"{event.operation:<10}")
    outcome = event.outcome or "not finished"
    about = ", ".join(map(_subject, event.subjects)) or "nobody"
    return " ".join((*parts, f"{outcome:<14}", event.gallery or "-", about))


def _subject(subject: Subject) -> str:
    name = "(erased)" if subject.erased else "".join(c if c.isprintable() else "?" for c in subject.remark or "")
    number = "" if subject.face_id is None else f" #{subject.face_id}"
    score = "" if subject.score is None else f" {subject.score:.3f}"
    return f"{name}{number}{score}".strip()


def _events(path: Path, wanted: Selection) -> Iterator[Event]:
    file = TrailFile(path)
    try:
        while found := file.page(wanted, datetime.now(UTC)):
            yield from found
            wanted = replace(wanted, after=found[-1].number)
    finally:
        file.close()


def _erase(path: Path, erasure: Erasure) -> None:
    file = TrailFile(path)
    try:
        file.write([partial(TrailFile.erase, erasure=erasure)])
        file.shrink()
    finally:
        file.close()
    print(f"The name is erased in the events of the gallery {erasure.gallery}.", file=sys.stderr)
