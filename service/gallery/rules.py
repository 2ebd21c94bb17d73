"""What the settings and the model lay down for every gallery: which face counts, how good it must be, what matches."""

from __future__ import annotations

from dataclasses import dataclass

from service.gallery.choices import one_face
from service.gallery.thresholds import ThresholdFor, threshold_for
from service.settings import QualityLevel, Score, Settings
from service.vision.preparation import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts, and what is kept.

    `choose` tells which of a photo's faces is meant, `min_score` is the detector's least certainty (0 to 1) of a face,
    `quality` how good it must be, `score` what is compared with the threshold of a match, `picture_side` the longer
    side of the pictures kept, in pixels.
    """

    choose: Choice
    min_score: float
    quality: QualityLevel
    score: Score
    threshold_for: ThresholdFor
    picture_side: int

    @classmethod
    def of(cls, settings: Settings, model: str) -> Rules:
        """Those of the settings for a model; raises InvalidSettings where that has no threshold for `auto`."""
        return cls(
            choose=one_face(settings),
            min_score=settings.min_score,
            quality=settings.quality,
            score=settings.score,
            threshold_for=threshold_for(settings, model),
            picture_side=settings.picture_side,
        )
