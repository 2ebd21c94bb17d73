"""The command line: `python -m service` runs the service, `--help` lists its settings."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from service.app import create_app
from service.errors import FaceServiceError
from service.logs import configure
from service.memory import return_memory
from service.serving import serve
from service.settings import Settings, manual


def main() -> int:
    """Run until SIGTERM or Ctrl-C; the exit status, 1 where the service can't start."""
    argparse.ArgumentParser(
        prog="python -m service",
        description="Face recognition over REST. Settings are environment variables:",
        epilog=manual(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
