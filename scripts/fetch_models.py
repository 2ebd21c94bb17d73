"""Fetches and converts the model that the FACE_* settings ask for, so that the service starts at once.

python -m scripts.fetch_models
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

from service.errors import FaceServiceError
from service.models import selection
from service.settings import Settings


def main(environ: Mapping[str, str]) -> None:
    """Prepare the model and print which it is; exits with one sentence on an error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        settings = Settings.from_env(environ)
        files = selection.prepare(settings, kept=None)
    except FaceServiceError as error:
        sys.exit(str(error))
    print(f"{files.contract.model} is ready in {files.facenet.parent}.")


if __name__ == "__main__":
    main(os.environ)
