"""Which of a photo's faces count: the largest, the only one, or every one that the detector is sure of."""

from __future__ import annotations

from service.errors import MultipleFaces
from service.values import Detection
from service.vision.preparation import Choice


def largest(min_score: float) -> Choice:
    """Chooses the largest face that the detector is sure of."""
    return lambda detections, _: _confident(detections, min_score)[:1]


def every(min_score: float) -> Choice:
    """Chooses all faces that the detector is sure of, the largest first."""
    return lambda detections, _: _confident(detections, min_score)


def single(min_score: float) -> Choice:
    """Chooses the one face that the detector is sure of; raises MultipleFaces where there are several."""

    def choose(detections: list[Detection], _: tuple[int, int]) -> list[Detection]:
        confident = _confident(detections, min_score)
        if len(confident) > 1:
            raise MultipleFaces(f"The image shows {len(confident)} faces; send one with a single face.")
        return confident

    return choose


def _confident(detections: list[Detection], min_score: float) -> list[Detection]:
    return [each for each in detections if each.score >= min_score]
