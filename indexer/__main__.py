"""The command line: `python -m indexer COMMAND` works on whole galleries, `--help` lists the commands."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from importlib import import_module

from service import __version__
from service.errors import FaceServiceError
from service.logs import configure
from service.manual import manual
from service.memory import return_memory
from service.settings import Settings

COMMANDS = {
    "index": ("indexer.commands.index", "Import the faces of a folder of photos, or of those that a CSV file lists."),
    "optimize": (
        "indexer.commands.optimize",
        "Build the index of an embedded gallery, which makes recognition in it fast.",
    ),
    "check": (
        "indexer.commands.check",
        "Look at every face of a gallery in a folder, and say what is damaged.",
    ),
    "stats": (
        "indexer.commands.stats",
        "Say how many faces and remarks a gallery holds, on how much disk, of which model.",
    ),
    "list": ("indexer.commands.list_", "List the faces of a gallery, as a table or as JSON."),
    "show": ("indexer.commands.show", "Show all that is kept of a face or of a person, and write the picture."),
    "remove": ("indexer.commands.remove", "Remove a face, or all faces of a person, for good."),
    "calibrate": (
        "indexer.commands.calibrate",
        "Measure a gallery's error rates with its own faces, and propose a threshold.",
    ),
    "export": ("indexer.commands.export", "Write every face of a gallery to a file."),
    "import": ("indexer.commands.import_", "Add every face of an exported file to a gallery."),
    "events": ("indexer.commands.events", "Show who was recognised or changed what: the audit trail FACE_AUDIT."),
    "encrypt": (
        "indexer.commands.encrypt",
        "Encrypt a gallery with the key of the settings, or give it another key, or none.",
    ),
    "reembed": ("indexer.commands.reembed", "Compute every face again with another model."),
}
"""By name: the module with `arguments(parser)` and `run(settings, arguments)`, and what the command does."""

COULD_NOT_RUN = 2
STOPPED = 130
"""What shells expect of a program that was told to stop."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 success, 1 some of the work failed, 2 could not run, 130 stopped."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = _parser(argv).parse_args(argv)
    return_memory()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of every cluster that it starts
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else gRPC writes past the log; it reads this as it is imported
    try:
        settings = Settings.from_env(os.environ)
        configure(settings.log_format, settings.log_level, logging.StreamHandler())
        return asyncio.run(_until_told(import_module(COMMANDS[arguments.command][0]).run(settings, arguments)))
    except FaceServiceError as error:
        print(error, file=sys.stderr)
        return COULD_NOT_RUN
    except OSError as error:
        print(f"{error.strerror or error}; mend that, and the same command goes on from here.", file=sys.stderr)
        return COULD_NOT_RUN
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return STOPPED


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Knows every command's name, and the arguments of the one that is wanted, so that the others aren't loaded."""
    parser = argparse.ArgumentParser(
        prog="face-indexer",
        description="Work on whole galleries. Settings are the service's environment variables:",
        epilog=manual(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"face-indexer {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if argv[:1] == [name]:
            import_module(module).arguments(command)
    return parser


async def _until_told(work: Coroutine[None, None, int]) -> int:
    """Cancel the work on SIGTERM or Ctrl-C, so that it closes the gallery; a command may handle them otherwise."""
    working = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    return await working


if __name__ == "__main__":
    sys.exit(main())
