"""`python -m indexer show`: all that is kept of one face, or the faces of one person; and the picture as a file."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexer.browsing.access import Faces, opened, place_options, whose_options
from indexer.browsing.telling import HEADING, line_of, lines_of
from service.errors import InvalidSettings, UnknownPerson
from service.files import open_private
from service.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, and where the picture goes."""
    whose_options(parser)
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="write the kept picture there, a JPEG; of a person the newest face's",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, one object a face")
    place_options(parser)


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print and write; 0. Raises UnknownFace, UnknownPerson, InvalidSettings for a file that can't be made."""
    async with opened(settings, arguments) as gallery:
        if arguments.face_id is not None:
            face = await gallery.face(arguments.face_id)
            print(_as_json(face) if arguments.json else "\n".join(lines_of(face)))
        else:
            face = await _print_person(gallery, arguments)
        if arguments.picture is not None:
            _write(arguments.picture, face)
    return 0


async def _print_person(gallery: Faces, arguments: argparse.Namespace) -> Mapping[str, Any]:
    """Print each face as it is read; the newest, with its picture where that is wanted."""
    newest: Mapping[str, Any] | None = None
    async for face in gallery.list(arguments.remark):
        if newest is None and not arguments.json:
            print(HEADING)
        print(_as_json(face) if arguments.json else line_of(face))
        newest = face
    if newest is None:
        raise UnknownPerson("No face of this gallery has this remark; `face-indexer list` shows those that there are.")
    return newest if arguments.picture is None else await gallery.face(int(newest["face_id"]))


def _as_json(face: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in face.items() if name != "picture"}, ensure_ascii=False)


def _write(path: Path, face: Mapping[str, Any]) -> None:
    try:
        with open(path, "xb", opener=open_private) as file:
            file.write(base64.b64decode(face["picture"]))
    except FileExistsError:
        raise InvalidSettings(f"--picture {path} is there already; name another file, or remove that one.") from None
    except OSError as error:
        raise InvalidSettings(f"--picture {path} can't be written ({error.strerror}); name another file.") from None
    print(f"The picture of face {face['face_id']} is in {path}.", file=sys.stderr)
