"""`python -m indexer check`: whether each face of a gallery in a folder is as it was registered, and what isn't."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from indexer.progress import Progress
from service.errors import InvalidSettings
from service.settings import Settings
from service.stores.edge.findings import Findings
from service.stores.edge.inspection import NO_PICTURE
from service.stores.edge.limits import INSPECTED_AT_ONCE
from service.stores.edge.store import EdgeStore
from service.stores.opening import cipher_of

if TYPE_CHECKING:  # galleries in clear do without its package
    from service.stores.encryption.cipher import GalleryCipher

SHOWN = 50
"""Lines about files or faces of one kind; the rest is counted."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether what is damaged is to be given up, and what counts as that."""
    parser.add_argument(
        "--accept",
        action="store_true",
        help="forget the damaged faces and take the rest as whole, so that the service starts; copy the folder first",
    )
    parser.add_argument(
        "--forget-pictureless",
        action="store_true",
        help="with --accept, also forget faces whose picture alone can't be decoded; else they stay, for they can be "
        "recognised",
    )


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print what is wrong; 0 where nothing is, or where the rest was accepted, else 1.

    Works on a gallery that the service refuses to open, unless Qdrant Edge can't load it at all. Raises GalleryInUse
    while a service has the gallery open, GalleryDamaged, StoreUnavailable, and WrongEncryptionKey where the key of an
    encrypted gallery isn't set.
    """
    if settings.qdrant_url is not None:
        raise InvalidSettings("Only galleries in a folder are checked, and FACE_QDRANT_URL is set; unset it.")
    if arguments.forget_pictureless and not arguments.accept:
        raise InvalidSettings("--forget-pictureless says what --accept forgets; give both.")
    cipher = cipher_of(settings.encryption_key)
    key_check = None if cipher is None else cipher.key_check
    store = EdgeStore(settings.data / "gallery", opening="inspecting", key_check=key_check)
    try:
        if await store.open() is None:
            print(f"There is no gallery in {settings.data} yet.")
            return 0
        findings = await _inspect(store, cipher)
        _tell(findings)
        forgotten = sorted([*findings.damaged, *(findings.pictureless if arguments.forget_pictureless else [])])
        if arguments.accept and (findings or forgotten):
            left = await store.accept(forgotten)
            print(f"The damaged faces are forgotten; the gallery has {left:,} faces, and the service opens it.")
            return 0
        return int(bool(findings or findings.pictureless))
    finally:
        await store.close()


async def _inspect(store: EdgeStore, cipher: GalleryCipher | None) -> Findings:
    findings = await store.findings()
    with Progress(findings.faces, "faces") as progress:
        async for wrong in store.inspect(cipher):
            progress.advance(min(INSPECTED_AT_ONCE, findings.faces))
            pictureless = {each for each, what in wrong.items() if what == NO_PICTURE} - findings.damaged.keys()
            findings.pictureless += sorted(pictureless)
            damaged = {each: what for each, what in wrong.items() if each not in pictureless}
            findings.damaged = {**damaged, **findings.damaged}
    return findings


def _tell(findings: Findings) -> None:
    print(f"faces    {findings.faces:,}")
    _list("file", findings.files)
    _list("index", findings.indexes)
    _list("missing", (f"face {each} was registered and is gone" for each in findings.missing))
    _list("damaged", (f"face {face_id} {what}" for face_id, what in sorted(findings.damaged.items())))
    _list("picture", (f"face {each} {NO_PICTURE}" for each in findings.pictureless))
    if findings:
        print("The gallery is damaged: restore its folder from a backup. Without one, copy the folder, then give up")
        print("what is damaged with `face-indexer check --accept`; register the faces named above again.")
    elif not findings.pictureless:
        print("Nothing is wrong with them.")
    if findings.pictureless:
        print("Faces without a picture are recognised as ever, and --accept keeps them. Register their people again to")
        print("have pictures; `face-indexer check --accept --forget-pictureless` forgets such faces.")


def _list(kind: str, lines: Iterable[str]) -> None:
    all_lines = list(lines)
    for line in all_lines[:SHOWN]:
        print(f"{kind:8} {line}")
    if len(all_lines) > SHOWN:
        print(f"{kind:8} … and {len(all_lines) - SHOWN:,} more")
