"""The command line: `python -m service` runs the service, `--help` lists its commands and its settings."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import sys
from collections.abc import Sequence

from service import __version__
from service.commands import prepare, quantize
from service.devices import commands as device_commands
from service.devices import key_commands
from service.devices.secret_uses import open_record
from service.errors import FaceServiceError
from service.http.app import create_app
from service.http.serving import serve
from service.log_writer import DroppedLines, LogWriter
from service.logs import configure
from service.manual import manual
from service.memory import return_memory
from service.models.runtimes import openvino_version
from service.settings import Settings

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C, or do one command; the exit status, 1 where that isn't possible."""
    options = _parser().parse_args(argv)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else gRPC writes past the log; it reads this as it is imported
    if options.command is None:
        return _serve()
    try:
        settings = Settings.from_env(os.environ)
        if options.command == "prepare":
            return prepare.run(settings)
        if options.command == "quantize":
            return quantize.run(options, settings)
        if options.command == "keys":
            return key_commands.run(options, settings.keys)
        return device_commands.run(options, settings.devices, open_record(settings.data, settings.nonces_url))
    except FaceServiceError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="face-service",
        description="Face recognition over REST. Settings are environment variables:",
        epilog=manual(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"face-service {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    device_commands.describe(
        commands.add_parser("devices", help="devices that may send requests, in the file FACE_DEVICES")
    )
    key_commands.describe(commands.add_parser("keys", help="keys of programs and people, in the file FACE_KEYS"))
    commands.add_parser("prepare", help="fetch and convert the model, so that the service starts at once")
    quantize.describe(commands.add_parser("quantize", help="make the model of FACE_PRECISION=int8 from face photos"))
    return parser


def _serve() -> int:
    """Run the service until it is told to stop."""
    return_memory()
    try:
        settings = Settings.from_env(os.environ)
    except FaceServiceError as error:
        print(f"The service can't start: {error}", file=sys.stderr)
        return 1
    log_writer = LogWriter()
    configure(settings.log_format, settings.log_level, log_writer)
    try:
        log.info(
            "Face service %s, Python %s, OpenVINO %s, %s %s.",
            *(__version__, platform.python_version(), openvino_version(), platform.system(), platform.machine()),
        )
        asyncio.run(serve(create_app(settings, DroppedLines(log_writer)), settings.host, settings.port))
    except FaceServiceError as error:
        log_writer.say(f"The service can't start: {error}")
        return 1
    except OSError as error:
        log_writer.say(f"The service can't start: {error.strerror or error}; FACE_HOST and FACE_PORT set the address.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
