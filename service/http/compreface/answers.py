"""How CompreFace tells of faces: boxes in whole pixels, what plugins add, and how long it took."""

from __future__ import annotations

import math
from typing import Any

from service.http.compreface.queries import FacesQuery
from service.timings import Timings
from service.values import Detection, Embedding

PLACES = 5
"""Decimals of probabilities and similarities."""

_STEEPNESS = 8.0
"""With it a score of 0.2 beyond the threshold, as two good photos of a person have, is 0.96."""


def face(
    detection: Detection,
    embedding: Embedding | None,
    query: FacesQuery,
    size: tuple[int, int],
    timings: Timings,
) -> dict[str, Any]:
    """A face of a photo whose `size` is (width, height), with those parts that the query asks for.

    Of the plugins there are `landmarks`, and `calculator` where an embedding is given; the others add nothing.
    """
    told: dict[str, Any] = {"box": _box(detection, size)}
    if query.wants("landmarks"):
        told["landmarks"] = [[round(x), round(y)] for x, y in detection.landmarks]
    if query.wants("calculator") and embedding is not None:
        told["embedding"] = [float(each) for each in embedding]
    if query.status:
        stages = {"detector": ("decode", "detect"), "calculator": ("crop", "embed")}
        told["execution_time"] = {
            name: round(sum(timings.get(each, 0.0) for each in stage), 1)
            for name, stage in stages.items()
            if any(each in timings for each in stage)
        }
    return told


def plugins_versions(query: FacesQuery, model: str) -> dict[str, Any]:
    """What finds faces and what embeds them, where the query asks for it; to be put beside a result."""
    if not query.status:
        return {}
    return {"plugins_versions": {"detector": "facenet.MTCNN", "calculator": f"facenet.{model}"}}


def similarity(score: float, threshold: float) -> float:
    """A score, or a cosine, as CompreFace has similarities: 0 to 1, and 0.5 at the threshold of a match.

    It is a curve of CompreFace's kind, a hyperbolic tangent around the threshold. So clients keep thresholds such as
    0.5, which mean the same here, though ours differ by model and by the gallery's size.
    """
    return round((math.tanh((score - threshold) * _STEEPNESS) + 1) / 2, PLACES)


def _box(detection: Detection, size: tuple[int, int]) -> dict[str, Any]:
    """The part of the box that lies in the photo, for clients cut it out."""
    left, top, right, bottom = (round(edge) for edge in detection.box)
    width, height = size
    return {
        "probability": round(detection.score, PLACES),
        "x_max": min(max(right, 0), width),
        "y_max": min(max(bottom, 0), height),
        "x_min": min(max(left, 0), width),
        "y_min": min(max(top, 0), height),
    }
