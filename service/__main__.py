"""The command line: `python -m service` runs the service, `devices` changes who may use it, `--help` lists settings."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from service.devices import commands as device_commands
from service.errors import FaceServiceError, InvalidSettings
from service.http.app import create_app
from service.http.serving import serve
from service.logs import configure
from service.memory import return_memory
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
    return_memory()
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


if __name__ == "__main__":
    sys.exit(main())
