"""The command `python -m service prepare`: fetches and converts the model, so that a service starts at once."""

from __future__ import annotations

import logging

from service.errors import ModelUnavailable
from service.models import selection
from service.models.int8 import has_int8, int8_graph
from service.models.selection import ModelFiles
from service.settings import Settings


def run(settings: Settings) -> int:
    """Have the files of the settings' model ready and print which it is; the exit status.

    Raises ModelUnavailable where they can't be had.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = selection.prepare(settings, kept=None)
    if settings.precision in ("auto", "int8") and has_int8(files):
        _prepare_int8(files, settings.precision)
    print(f"{files.contract.model} is ready in {files.facenet.parent}.")
    return 0


def _prepare_int8(files: ModelFiles, precision: str) -> None:
    """Whatever this processor: the folder may be meant for another machine, as an image's is."""
    try:
        int8_graph(files)
    except ModelUnavailable as error:
        if precision == "int8":
            raise
        print(error)
