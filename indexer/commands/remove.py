"""`python -m indexer remove`: forgets a face, or those of a remark, of a device or all, once that was confirmed."""

from __future__ import annotations

import argparse
import asyncio
import sys

from indexer.browsing.access import Faces, opened, place_options, whose_options
from indexer.browsing.telling import shown
from service.errors import InvalidSettings
from service.settings import Settings

NOT_CONFIRMED = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, and whether to ask."""
    meant = whose_options(parser)
    meant.add_argument("--device", metavar="ID", help="all faces that a device registered in the gallery")
    meant.add_argument("--all", action="store_true", help="all faces of the gallery, which stays")
    parser.add_argument("--yes", action="store_true", help="don't ask first")
    place_options(parser)


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Remove; 0, or 1 where that was not confirmed. Raises UnknownFace, UnknownPerson or InvalidSettings."""
    if not arguments.yes and not sys.stdin.isatty():
        raise InvalidSettings("Nobody is at a terminal to confirm the removal; add --yes to remove without.")
    async with opened(settings, arguments) as gallery:
        if not arguments.yes:
            print(await _meant(gallery, arguments))
            if not await asyncio.to_thread(_confirmed):
                print("Nothing was removed.", file=sys.stderr)
                return NOT_CONFIRMED
        if arguments.face_id is not None:
            remark = shown(str((await gallery.face(arguments.face_id))["remark"]))
            await gallery.remove_face(arguments.face_id)
            print(f"Removed face {arguments.face_id} of {remark} from the {gallery.place}.")
        elif arguments.remark is None:
            removed = await gallery.remove_faces(arguments.device)
            print(f"Removed {removed:,} faces{_whose(arguments)} from the {gallery.place}.")
        else:
            removed = await gallery.remove_person(arguments.remark)
            print(f"Removed {removed:,} faces of {shown(arguments.remark)} from the {gallery.place}.")
    return 0


async def _meant(gallery: Faces, arguments: argparse.Namespace) -> str:
    if arguments.face_id is None and arguments.remark is None:
        return f"All faces{_whose(arguments)} in the {gallery.place} will be gone for good."
    if arguments.face_id is None:
        count = await gallery.count(arguments.remark)
        return f"All {count:,} faces of {shown(arguments.remark)} in the {gallery.place} will be gone for good."
    face = await gallery.face(arguments.face_id)
    return (
        f"Face {arguments.face_id} of {shown(str(face['remark']))}, registered {face['registered_at']}, in the "
        f"{gallery.place} will be gone for good."
    )


def _whose(arguments: argparse.Namespace) -> str:
    return "" if arguments.device is None else f" that {shown(arguments.device)} registered"


def _confirmed() -> bool:
    print("Remove? Type yes: ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
