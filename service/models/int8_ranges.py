"""The activation ranges that come with the service, for the published weights.

`python -m scripts.int8_ranges PHOTOS` measures and writes them, for one model after the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from service.models.downloads import KNOWN_DIGESTS
from service.models.int8_graph import Ranges

RANGES_FILE = Path(__file__).with_name("int8_ranges.json")


class Measured(TypedDict):
    """The ranges of a model, and of how many faces they are."""

    faces: int
    ranges: Ranges


def published_ranges(digest: str) -> Ranges | None:
    """The ranges of weights with this SHA-256 (hex); None where there are none, as for weights of one's own.

    The files of one model differ by how its numbers are written, which doesn't change its activations.
    """
    measured = read_ranges().get(KNOWN_DIGESTS.get(digest, ""))
    return measured["ranges"] if measured else None


def read_ranges() -> dict[str, Measured]:
    """Those of all published models, by the model's name."""
    models: dict[str, Measured] = json.loads(RANGES_FILE.read_text(encoding="utf-8"))
    return models


def keep_ranges(model: str, measured: Measured) -> None:
    """Replace those of one model in the file."""
    models = {**read_ranges(), model: measured} if RANGES_FILE.exists() else {model: measured}
    RANGES_FILE.write_text(json.dumps(models, indent=1, sort_keys=True) + "\n", encoding="utf-8")
