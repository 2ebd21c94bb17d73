"""`python -m indexer encrypt`: a gallery brought to the key of the settings, while it stays in use."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from indexer.commands.reembed import FEW_CHANGES, QUIET_S
from indexer.moving.rekeying import Rekeying
from indexer.progress import Progress
from service.errors import InvalidSettings, StoreUnavailable, WrongEncryptionKey
from service.secret_files import read_key
from service.settings import Settings
from service.stores.opening import open_rekeying
from service.stores.store import Migration


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument(
        "--former-key-file",
        type=Path,
        metavar="FILE",
        help="the key that the gallery has now; without FACE_ENCRYPTION_KEY it is decrypted",
    )
    parser.add_argument("--drop-old", action="store_true", help="delete the former gallery once the new one is in use")


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Encrypt the gallery, give it another key, or decrypt it; 0.

    Raises StoreUnavailable where there is no gallery or, for the embedded one, a service has it open, InvalidSettings,
    WrongEncryptionKey where the gallery has another key than the former one.
    """
    former = None if arguments.former_key_file is None else read_key("--former-key-file", arguments.former_key_file)
    if former == settings.encryption_key:
        raise InvalidSettings(
            "The key stays the same; set FACE_ENCRYPTION_KEY_FILE to encrypt the gallery, and --former-key-file where "
            "it is encrypted already."
        )
    migration = open_rekeying(settings, former=former)
    try:
        return await rekey(migration, drop_old=arguments.drop_old)
    except WrongEncryptionKey:
        if former is not None:
            raise
        raise WrongEncryptionKey(
            "The gallery is encrypted already; name the key that it has with --former-key-file to give it another one."
        ) from None
    finally:
        await migration.close()


async def rekey(migration: Migration, *, drop_old: bool, quiet_s: float = QUIET_S) -> int:
    """See `run`; the gallery is the migration's, which the caller closes. It ends when nothing came for `quiet_s`."""
    kept = await migration.open()
    if kept is None:
        raise StoreUnavailable("There is no gallery there yet; FACE_DATA or FACE_QDRANT_URL say where it is.")
    work = Rekeying(old=migration.old, new=await migration.begin(kept))
    with Progress(await work.old.count(), "faces") as progress:
        changes = await work.catch_up(progress)
    while changes > FEW_CHANGES:
        former, changes = changes, await work.catch_up()
        if changes >= former:
            break
    await work.new.optimize()
    async with migration.block_writes():
        await work.catch_up(remember=True)
        count = await work.new.count()
        old_place = await migration.switch()
    print(f"The gallery has the new key and {count:,} faces; the former one is {old_place}.", file=sys.stderr)
    if migration.is_shared:
        print(f"Waiting until nothing has come to the former one for {quiet_s:g} s.", file=sys.stderr)
        print(f"{await work.follow(quiet_s):,} late changes were brought along.", file=sys.stderr)
    if drop_old:
        await migration.drop_old()
        print("The former one was deleted.", file=sys.stderr)
    else:
        print("It is as readable as it was before: delete it, and backups of it, once all is well.", file=sys.stderr)
    return 0
