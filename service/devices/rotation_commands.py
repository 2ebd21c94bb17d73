"""The command `python -m service devices rotate`: a new secret beside the one that the device uses."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime

import tomlkit

from service.devices.editing import Edit, entry_of
from service.devices.registry import DEVICES
from service.devices.secret_uses import UseRecord
from service.errors import InvalidDevices, NoncesUnavailable

SECRET_BYTES = 32


def describe_rotation(parser: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    parser.add_argument("--finish", action="store_true", help="make none, but forget the older of two secrets")
    parser.add_argument(
        "--anyway", action="store_true", help="forget the older secret though the device may be using that one"
    )


def rotation(record: UseRecord) -> Edit:
    """The edit of `rotate`; `record` knows when secrets were used.

    The new secret goes before the one that stays: that which the device used last. Where two are there, and nobody
    knows which, or where `--finish` would forget the one in use, the edit raises InvalidDevices unless it is told to.
    """

    def edit(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> str | None:
        table = entry_of(document, options.id, DEVICES)
        known: list[str] = list(table["secrets"])
        used = _used(record, options, known)
        if len(known) > 1:
            print(f"The newer secret was used last {when(used[0])}, the older one {when(used[1])}.", file=sys.stderr)
        if options.finish:
            if _older_in_use(used) and not options.anyway:
                raise InvalidDevices(
                    f"{options.id} signed last with its older secret; give it the newer one first, or add --anyway."
                )
            table["secrets"] = known[:1]
            return None
        kept = known[0]
        if len(known) > 1 and not options.anyway:
            if used == [None, None]:
                raise InvalidDevices(
                    f"Nobody knows which of its two secrets {options.id} uses; finish the rotation before, or add "
                    "--anyway to forget the older one."
                )
            kept = known[1] if _older_in_use(used) else known[0]
        secret = secrets.token_hex(SECRET_BYTES)
        table["secrets"] = [secret, kept]
        return secret

    return edit


def _used(record: UseRecord, options: argparse.Namespace, known: Sequence[str]) -> list[datetime | None]:
    """When each secret was used. Raises NoncesUnavailable, but not where the answer isn't asked for."""
    try:
        return [record.last_used(options.id, each) for each in known]
    except NoncesUnavailable:
        if not options.anyway:
            raise
        return [None] * len(known)


def when(time: datetime | None) -> str:
    """A time for people."""
    return "at no known time" if time is None else f"at {time:%Y-%m-%d %H:%M:%S} UTC"


def _older_in_use(used: Sequence[datetime | None]) -> bool:
    """Whether the older of two secrets was used after the newer one, newest secret first."""
    newer, older = used if len(used) > 1 else (None, None)
    return older is not None and (newer is None or older > newer)
