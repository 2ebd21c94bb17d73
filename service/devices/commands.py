"""The commands `python -m service devices …`: add, list, disable, enable and rotate devices in their file."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path
from typing import Any

import tomlkit

from service.devices.registry import ID, MAX_SECRETS, OPERATIONS, read_devices
from service.errors import FaceServiceError, InvalidDevices
from service.files import locked, replace_file

_SECRET_BYTES = 32


def describe(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `devices` its commands."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="add|list|disable|enable|rotate")
    add = commands.add_parser("add", help="make a device and its secret; makes the file where there is none")
    add.add_argument("--operations", type=_operations, metavar="LIST", help=f"of {','.join(OPERATIONS)}; default: all")
    add.add_argument("--note", default="", help="where the device stands, say")
    commands.add_parser("list", help="show the devices without their secrets")
    disable = commands.add_parser("disable", help="refuse a device from now on")
    enable = commands.add_parser("enable", help="let it in again")
    rotate = commands.add_parser("rotate", help="make a new secret; the one before it works until the next --finish")
    rotate.add_argument("--finish", action="store_true", help="make none, but forget the older of two secrets")
    for command in (add, disable, enable, rotate):
        command.add_argument("id", help="the device's X-Device-Id")


def run(options: argparse.Namespace, path: Path | None) -> int:
    """Do what the options of `describe` ask for to the file at `path` (FACE_DEVICES); the exit status."""
    try:
        if path is None:
            raise InvalidDevices("Set FACE_DEVICES to the file of devices, for example FACE_DEVICES=devices.toml.")
        if options.action == "list":
            _list(path)
        else:
            _change(path, options)
    except FaceServiceError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{path} can't be written ({error.strerror}); the file is as it was.", file=sys.stderr)
        return 1
    return 0


def _list(path: Path) -> None:
    for device in read_devices(path).values():
        state = "enabled" if device.enabled else "disabled"
        number = {1: "1 secret", 2: "2 secrets"}[len(device.secrets)]
        operations = ",".join(each for each in OPERATIONS if each in device.operations) or "nothing"
        note = "".join(each if each.isprintable() else "?" for each in device.note)
        print(f"{device.id:<24} {state:<8} {number:<9} {operations:<30} {note}".rstrip())


def _change(path: Path, options: argparse.Namespace) -> None:
    """Carry out one change, and show the secret that it made once it is on the disk."""
    path = path.resolve()  # what a link points to is replaced, not the link
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):  # so that no command undoes what another has just written
        new = options.action == "add" and not path.exists()
        if not new:
            read_devices(path)  # nothing is built on a file that can't be used
        document = tomlkit.document() if new else tomlkit.parse(path.read_text("utf-8"))
        secret = _ACTIONS[options.action](document, options)
        # A new file is its owner's alone; nothing takes the old one's place that isn't a good file of devices.
        replace_file(path, tomlkit.dumps(document), new_mode=0o600, check=read_devices)
    if secret is None:
        print(f"Done; a running service takes {path} up within two seconds.", file=sys.stderr)
    else:
        print(f"The secret of {options.id}, shown only this once:", file=sys.stderr, flush=True)
        print(secret)


def _add(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> str:
    if not ID.fullmatch(options.id):
        raise InvalidDevices("An id is 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`; choose another one.")
    if options.id in document:
        raise InvalidDevices(f"There is a device {options.id} already; choose another id, or rotate its secret.")
    secret = secrets.token_hex(_SECRET_BYTES)
    table = tomlkit.table()
    table["secrets"] = [secret]
    table["enabled"] = True
    table["operations"] = list(options.operations or OPERATIONS)
    table["note"] = options.note
    document[options.id] = table
    return secret


def _enable(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> None:
    _table(document, options.id)["enabled"] = options.action == "enable"


def _rotate(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> str | None:
    """The new secret goes before the newest so far; `--finish` leaves that one only."""
    table = _table(document, options.id)
    if options.finish:
        table["secrets"] = list(table["secrets"])[:1]
        return None
    secret = secrets.token_hex(_SECRET_BYTES)
    table["secrets"] = [secret, *table["secrets"]][:MAX_SECRETS]
    return secret


_ACTIONS = {"add": _add, "disable": _enable, "enable": _enable, "rotate": _rotate}


def _table(document: tomlkit.TOMLDocument, device_id: str) -> Any:
    if device_id not in document:
        raise InvalidDevices(f"There is no device {device_id}; `python -m service devices list` shows them.")
    return document[device_id]


def _operations(text: str) -> list[str]:
    chosen = text.split(",")
    if not set(chosen) <= set(OPERATIONS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as register,recognise")
    return [each for each in OPERATIONS if each in chosen]
