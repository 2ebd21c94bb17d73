"""The measured scores from which on a face counts as somebody's: by model, size of the gallery and error rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSettings
from service.settings import Settings
from service.variables import variable

ThresholdFor = Callable[[int], float]
"""The least score of a match in a gallery of so many faces; asked for no more than scoring.CANDIDATES and a limit."""

FPIRS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Shares of strangers who are taken for somebody (ISO/IEC 19795-1's false positive identification rate)."""

FACES = (1, 2, 3, 5, 10, 20, 40)
"""Sizes of galleries. From 40 on the threshold stays, up to 1,400 people: so a search, which sees scoring.CANDIDATES
faces, need not know how many more there are."""

SCORES: Mapping[str, tuple[tuple[float, ...], ...]] = {
    "vggface2": (
        (0.549, 0.521, 0.469, 0.396, 0.296, 0.094),
        (0.577, 0.553, 0.513, 0.459, 0.376, 0.235),
        (0.606, 0.569, 0.527, 0.480, 0.403, 0.288),
        (0.618, 0.584, 0.551, 0.514, 0.445, 0.353),
        (0.586, 0.549, 0.513, 0.479, 0.424, 0.352),
        (0.557, 0.525, 0.489, 0.461, 0.417, 0.351),
        (0.552, 0.536, 0.485, 0.460, 0.421, 0.361),
    ),
    "casia-webface": (
        (0.454, 0.415, 0.363, 0.302, 0.205, 0.050),
        (0.481, 0.444, 0.402, 0.355, 0.283, 0.168),
        (0.503, 0.471, 0.428, 0.385, 0.319, 0.223),
        (0.549, 0.520, 0.474, 0.428, 0.372, 0.296),
        (0.543, 0.508, 0.464, 0.422, 0.368, 0.307),
        (0.508, 0.482, 0.441, 0.407, 0.361, 0.304),
        (0.493, 0.469, 0.433, 0.399, 0.363, 0.311),
    ),
}
"""By model: rows for FACES, columns for FPIRS. `python -m scripts.bench.thresholds` measures them on LFW's development
photos: the mean FPIR of two groups, people of East Asia and all others, each in galleries of its own."""


NO_THRESHOLD = -1.0
"""FACE_THRESHOLD where none is set: everybody is a match."""


def threshold_for(settings: Settings, model: str) -> ThresholdFor:
    """What FACE_THRESHOLD says: one score for all sizes, or with `auto` the measured one for FACE_FPIR.

    Raises InvalidSettings where `auto` has nothing to go by: for an unknown model, or the bare cosine.
    """
    if settings.threshold != "auto":
        fixed = settings.threshold
        return lambda _: fixed
    return _measured_threshold(settings, model, f"{variable('threshold')}=auto")


def duplicate_threshold_for(settings: Settings, model: str) -> ThresholdFor:
    """From which score on a new face is one that is known already: as in a recognition, or else as measured.

    Raises InvalidSettings like threshold_for.
    """
    if settings.threshold == NO_THRESHOLD:
        return _measured_threshold(settings, model, f"{variable('duplicate')}=refuse without a threshold")
    return threshold_for(settings, model)


def _measured_threshold(settings: Settings, model: str, wish: str) -> ThresholdFor:
    """The measured scores for FACE_FPIR; `wish` names the settings that ask for them, where there are none."""
    if settings.score != "cohort":
        raise InvalidSettings(
            f"{wish} needs {variable('score')}=cohort; for the bare cosine no threshold holds in every gallery, so set "
            f"{variable('threshold')} to one of your own."
        )
    if model not in SCORES:
        raise InvalidSettings(
            f"{wish} knows no scores of the model {model}; `face-indexer calibrate` proposes a threshold for your "
            f"gallery, which {variable('threshold')} takes."
        )
    by_faces = measured(model, settings.fpir)
    return lambda faces: float(np.interp(np.log(max(faces, 1)), np.log(FACES), by_faces))


def measured(model: str, fpir: float) -> NDArray[np.float64]:
    """The scores of a model of SCORES at an FPIR of 0.001 to 0.3, for each size of FACES: shape (len(FACES),)."""
    return np.array([np.interp(np.log(fpir), np.log(FPIRS), scores) for scores in SCORES[model]])
