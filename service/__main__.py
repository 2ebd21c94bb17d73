"""The command line: `python -m service` runs the service, `devices` changes who may use it, `--help` lists settings."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import sys

from service import device_commands
from service.app import create_app
from service.errors import FaceServiceError, InvalidSettings
from service.logs import configure
from service.serving import serve
from service.settings import Settings, manual


def main() -> int:
    """Run until SIGTERM or Ctrl-C, or do one command; the exit status, 1 where that isn't possible."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Face recognition over REST. Settings are environment variables:",
        epilog=manual(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    device_commands.describe(commands.add_parser("devices", help="who may send requests, in the file FACE_DEVICES"))
    options = parser.parse_args()
    if options.command == "devices":
        return _change_devices(options)
    _return_memory()
    try:
        settings = Settings.from_env(os.environ)
        configure(settings.log_format, settings.log_level)
        asyncio.run(serve(create_app(settings), settings.host, settings.port))
    except FaceServiceError as error:
        print(f"The service can't start: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"The service can't start: {error.strerror or error}; FACE_HOST and FACE_PORT set the address.",
            file=sys.stderr,
        )
        return 1
    return 0


def _change_devices(options: argparse.Namespace) -> int:
    try:
        return device_commands.run(options, Settings.from_env(os.environ).devices)
    except InvalidSettings as error:
        print(error, file=sys.stderr)
        return 1


def _return_memory() -> None:
    """Keep glibc from hoarding what large photos needed: measured over photos of all sizes, 250 MB less.

    By default every thread has an arena of its own, and blocks of up to 32 MB are never given back.
    """
    if sys.platform != "linux":
        return
    c_library = ctypes.CDLL(None)
    if hasattr(c_library, "mallopt"):  # musl has none
        for option, value in ((_M_ARENA_MAX, 2), (_M_MMAP_THRESHOLD, 2**20), (_M_TRIM_THRESHOLD, 2**20)):
            c_library.mallopt(option, value)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h


if __name__ == "__main__":
    sys.exit(main())
