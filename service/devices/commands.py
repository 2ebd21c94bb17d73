"""The commands `python -m service devices …`: add, list, disable, enable, rotate and remove devices in their file."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from pathlib import Path

import tomlkit

from service.devices.editing import (
    Edit,
    add_secret_out,
    gallery_name,
    list_of,
    printable,
    remove_entry,
    run_command,
    set_enabled,
    tell_what_is_granted,
)
from service.devices.operations import DEVICE_OPERATIONS
from service.devices.registry import DEVICES, ID, DeviceEntry, read_devices
from service.devices.rotation_commands import SECRET_BYTES, describe_rotation, rotation, when
from service.devices.secret_uses import UseRecord
from service.errors import InvalidDevices
from service.values import DEFAULT_GALLERY


def describe(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `devices` its commands."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="add|list|disable|enable|rotate|remove")
    add = commands.add_parser("add", help="make a device and its secret; makes the file where there is none")
    add.add_argument(
        "--operations",
        type=list_of(DEVICE_OPERATIONS),
        metavar="LIST",
        help=f"of {','.join(DEVICE_OPERATIONS)}; default: all",
    )
    add.add_argument("--gallery", type=gallery_name, metavar="NAME", help="the one that it uses; default: default")
    add.add_argument("--note", default="", help="where the device stands, say")
    commands.add_parser("list", help="show the devices without their secrets")
    disable = commands.add_parser("disable", help="refuse a device from now on")
    enable = commands.add_parser("enable", help="let it in again")
    rotate = commands.add_parser("rotate", help="make a new secret; the one in use works until the next --finish")
    describe_rotation(rotate)
    remove = commands.add_parser("remove", help="forget a device and its secrets")
    for command in (add, rotate):
        add_secret_out(command)
    for command in (add, disable, enable, rotate, remove):
        command.add_argument("id", help="the device's X-Device-Id")


def run(options: argparse.Namespace, path: Path | None, record: UseRecord) -> int:
    """Do what the options of `describe` ask for to the file at `path` (FACE_DEVICES); the exit status.

    `record` knows when devices used their secrets.
    """
    edits: dict[str, Edit] = {**_EDITS, "rotate": rotation(record)}
    status = run_command(options, path, DEVICES, show=_show(record), edit=edits.get(options.action, _add))
    if status == 0:
        tell_what_is_granted(options, DEVICES, DEVICE_OPERATIONS)
    return status


def _show(record: UseRecord) -> Callable[[Path], None]:
    def show(path: Path) -> None:
        for device in read_devices(path).values():
            print(_line(device))
            if len(device.secrets) > 1:
                newer, older = (when(record.last_used(device.id, each)) for each in device.secrets)
                print(f"{'':<24} the newer secret was used last {newer}, the older one {older}")

    return show


def _line(device: DeviceEntry) -> str:
    state = "enabled" if device.enabled else "disabled"
    number = {1: "1 secret", 2: "2 secrets"}[len(device.secrets)]
    operations = ",".join(each for each in DEVICE_OPERATIONS if each in device.operations) or "nothing"
    gallery = "" if device.gallery == DEFAULT_GALLERY else f"gallery={device.gallery} "
    return f"{device.id:<24} {state:<8} {number:<9} {operations:<30} {gallery}{printable(device.note)}".rstrip()


def _add(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> str:
    if not ID.fullmatch(options.id):
        raise InvalidDevices(f"A{DEVICES.name_rule[1:]}; choose another one.")
    if options.id in document:
        raise InvalidDevices(f"There is a device {options.id} already; choose another id, or rotate its secret.")
    secret = secrets.token_hex(SECRET_BYTES)
    table = tomlkit.table()
    table["secrets"] = [secret]
    table["enabled"] = True
    table["operations"] = list(options.operations or DEVICE_OPERATIONS)
    if options.gallery is not None:
        table["gallery"] = options.gallery
    table["note"] = options.note
    document[options.id] = table
    return secret


_EDITS: dict[str, Edit] = {
    "add": _add,
    "disable": set_enabled(DEVICES),
    "enable": set_enabled(DEVICES),
    "remove": remove_entry(DEVICES),
}
