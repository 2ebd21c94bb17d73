"""The command `python -m service prepare`: fetches and converts the model, so that a service starts at once."""

from __future__ import annotations

import logging

from service.models import selection
from service.settings import Settings


def run(settings: Settings) -> int:
    """Have the files of the settings' model ready and print which it is; the exit status.

    Raises ModelUnavailable where they can't be had.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = selection.prepare(settings, kept=None)
    print(f"{files.contract.model} is ready in {files.facenet.parent}.")
    return 0
