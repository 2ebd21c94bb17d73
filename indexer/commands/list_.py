"""`python -m indexer list`: the faces of a gallery, oldest first, as a table or as JSON lines."""

from __future__ import annotations

import argparse
import json
from contextlib import aclosing
from typing import Any, cast

from indexer.browsing.access import opened, place_options, remark_of
from indexer.browsing.telling import HEADING, line_of
from service.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which faces, and how."""
    parser.add_argument("--remark", type=remark_of, metavar="TEXT", help="only the faces of this remark")
    parser.add_argument("--limit", type=_count, metavar="N", help="N faces at most")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with all that is kept of a face")
    place_options(parser)


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the faces as they are read; 0, also for none. Raises what `opened` raises."""
    count = 0
    async with (
        opened(settings, arguments) as gallery,
        aclosing(cast("Any", gallery.list(arguments.remark))) as faces,
    ):
        async for face in faces:
            if count == 0 and not arguments.json:
                print(HEADING)
            print(json.dumps(face, ensure_ascii=False) if arguments.json else line_of(face))
            count += 1
            if count == arguments.limit:
                break
        if count == 0 and not arguments.json:
            print(f"There is no such face in the {gallery.place}.")
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:10]) > 0):
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return int(text[:10])
