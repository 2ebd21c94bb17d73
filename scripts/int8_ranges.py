"""Measures the activation ranges of a published model on a folder of face photos, and keeps them with the service.

python -m scripts.int8_ranges PHOTOS

FACE_MODEL or FACE_WEIGHTS says of which model. Run it anew when the float graph has other layers, or for other
published weights. What it writes are a hundred numbers for each model; nobody can be recognised by them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from service.commands.quantize import collect_faces
from service.errors import FaceServiceError
from service.models import selection
from service.models.downloads import KNOWN_DIGESTS
from service.models.int8_graph import measure_ranges
from service.models.int8_ranges import RANGES_FILE, Measured, keep_ranges
from service.processors import model_threads
from service.settings import Settings


def main(environ: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Measure and write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of face photos")
    parser.add_argument("--faces", type=int, default=1000, help="faces to measure, at most (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_env(environ)
        files = selection.prepare(settings, kept=None)
        sample = collect_faces(options.photos, files, settings, options.faces)
    except FaceServiceError as error:
        print(error, file=sys.stderr)
        return 1
    model, digest = files.contract.model, files.contract.digest
    if digest not in KNOWN_DIGESTS:
        print(f"{model} is no published model; `face-service quantize` is for such weights.", file=sys.stderr)
        return 1
    ranges = measure_ranges(files.facenet, np.stack(sample.crops), model_threads(settings))
    keep_ranges(model, Measured(faces=len(sample.crops), ranges=ranges))
    print(f"{RANGES_FILE} has the ranges of {model}, of {sample}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
