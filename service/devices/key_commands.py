"""The commands `python -m service keys …`: add, list, disable, enable and remove keys in their file."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import tomlkit

from service.devices.editing import (
    Edit,
    add_secret_out,
    gallery_names,
    list_of,
    printable,
    remove_entry,
    run_command,
    set_enabled,
    tell_what_is_granted,
)
from service.devices.keys import KEYS, NAME, digest_of, new_key, read_keys
from service.devices.operations import OPERATIONS
from service.errors import InvalidKeys


def describe(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `keys` its commands."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="add|list|disable|enable|remove")
    add = commands.add_parser("add", help="make a key; makes the file where there is none")
    add.add_argument(
        "--operations", type=list_of(OPERATIONS), metavar="LIST", help=f"of {','.join(OPERATIONS)}; default: all"
    )
    add.add_argument("--galleries", type=gallery_names, metavar="LIST", help="those that it opens; default: all")
    add.add_argument("--note", default="", help="who has the key, say")
    add_secret_out(add)
    commands.add_parser("list", help="show the keys' names and what they open")
    disable = commands.add_parser("disable", help="refuse a key from now on")
    enable = commands.add_parser("enable", help="let it in again")
    remove = commands.add_parser("remove", help="forget a key")
    for command in (add, disable, enable, remove):
        command.add_argument("id", metavar="NAME", help="what the log calls the key")


def run(options: argparse.Namespace, path: Path | None) -> int:
    """Do what the options of `describe` ask for to the file at `path` (FACE_KEYS); the exit status."""
    status = run_command(options, path, KEYS, show=_list, edit=_EDITS.get(options.action, remove_entry(KEYS)))
    if status == 0:
        tell_what_is_granted(options, KEYS, OPERATIONS)
    return status


def _list(path: Path) -> None:
    for key in read_keys(path).values():
        state = "enabled" if key.enabled else "disabled"
        made = "" if key.created_at is None else f"{key.created_at.astimezone(UTC):%Y-%m-%d}"
        operations = ",".join(each for each in OPERATIONS if each in key.operations) or "nothing"
        galleries = "all galleries" if key.galleries is None else ",".join(sorted(key.galleries)) or "no gallery"
        print(f"{key.name:<24} {state:<8} {made:<10} {operations} in {galleries} {printable(key.note)}".rstrip())


def _add(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> str:
    if not NAME.fullmatch(options.id):
        raise InvalidKeys(f"A{KEYS.name_rule[1:]}; choose another one.")
    if options.id in document:
        raise InvalidKeys(f"There is a key {options.id} already; choose another name, or remove that one.")
    key = new_key()
    table = tomlkit.table()
    table["sha256"] = digest_of(key)
    table["enabled"] = True
    table["operations"] = list(options.operations or OPERATIONS)
    if options.galleries is not None:
        table["galleries"] = options.galleries
    table["note"] = options.note
    table["created_at"] = datetime.now(UTC).replace(microsecond=0)
    document[options.id] = table
    return key


_EDITS: dict[str, Edit] = {
    "add": _add,
    "disable": set_enabled(KEYS),
    "enable": set_enabled(KEYS),
    "remove": remove_entry(KEYS),
}
