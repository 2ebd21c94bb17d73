"""The command line: `python -m service` runs the service, `--help` lists its commands and its settings."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from service import __version__
from service.errors import FaceServiceError
from service.manual import manual
from service.settings import Settings

COMMANDS: Mapping[str, tuple[str, str]] = {
    "devices": ("service.devices.commands", "devices that may send requests, in the file FACE_DEVICES"),
    "keys": ("service.devices.key_commands", "keys of programs and people, in the file FACE_KEYS"),
    "prepare": ("service.commands.prepare", "fetch and convert the model, so that the service starts at once"),
    "quantize": ("service.commands.quantize", "make the model of FACE_PRECISION=int8 from face photos"),
}
"""By name: the module with `run` and, where there are arguments, `describe`; and what the command does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C, or do one command; the exit status, 1 where that isn't possible."""
    argv = sys.argv[1:] if argv is None else argv
    options = _parser(argv).parse_args(argv)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else gRPC writes past the log; it reads this as it is imported
    if options.command is None:
        return _serve()
    try:
        return _run(options, Settings.from_env(os.environ))
    except FaceServiceError as error:
        print(error, file=sys.stderr)
        return 1


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Knows every command's name, and the arguments of the one that is wanted, so that the others aren't loaded."""
    parser = argparse.ArgumentParser(
        prog="face-service",
        description="Face recognition over REST. Settings are environment variables:",
        epilog=manual() if argv else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"face-service {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        if argv[:1] == [name] and name != "prepare":  # which has no arguments
            import_module(module).describe(command)
    return parser


def _run(options: argparse.Namespace, settings: Settings) -> int:
    """Do a command; the exit status. Raises what that raises."""
    run = import_module(COMMANDS[options.command][0]).run
    status: int
    if options.command == "prepare":
        status = run(settings)
    elif options.command == "quantize":
        status = run(options, settings)
    elif options.command == "keys":
        status = run(options, settings.keys)
    else:
        from service.devices.secret_uses import open_record

        status = run(options, settings.devices, open_record(settings.data, settings.nonces_url))
    return status


def _serve() -> int:
    """Run the service until it is told to stop."""
    gc.disable()  # hardly anything of what is imported is garbage; starting.run turns it on
    try:
        settings = Settings.from_env(os.environ)
    except FaceServiceError as error:
        print(f"The service can't start: {error}", file=sys.stderr)
        return 1
    from service.starting import run  # with all that a start needs and the commands don't

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
