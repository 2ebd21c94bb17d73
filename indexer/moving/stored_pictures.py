"""Computes a stored face's embedding again, from the picture that the gallery keeps of its photo."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.errors import FaceNotFound, InvalidImage
from service.settings import Settings
from service.timings import Timings
from service.values import Detection, Embedding, StoredFace
from service.vision.engine import Engine
from service.vision.images import accept

MAX_MISFIT = 0.15
"""By so much of the face's width a face in the picture may lie elsewhere than the stored one; MTCNN's own boxes differ
by a few hundredths from one size of a photo to another."""

MAX_ROUNDING = 0.05
"""A scale so close to 1 is 1."""

_NO_LIMIT = 2**31


def without_limits(settings: Settings) -> Settings:
    """Settings for an engine that takes every stored picture as it lies, and finds faces larger in their photos."""
    unlimited = replace(settings, max_bytes=_NO_LIMIT, max_pixels=_NO_LIMIT, max_queue=_NO_LIMIT)
    return replace(unlimited, min_face=20, min_share=0.0, rotate=False)


async def embed_again(engine: Engine, face: StoredFace, picture_side: int) -> Embedding:
    """The embedding of the stored face by another engine.

    The box is in pixels of the photo, and nobody wrote down how much smaller the picture is: so faces are
    detected in it, and the one whose box and landmarks are the stored ones, made smaller, tells. A picture smaller than
    `picture_side` (FACE_PICTURE_SIDE) is as large as its photo, unless that setting was another then. Raises
    FaceNotFound or InvalidImage.
    """
    try:
        jpeg = base64.b64decode(face.picture, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidImage("The picture is no base64.") from None
    side = accept(jpeg, max_bytes=_NO_LIMIT, max_pixels=_NO_LIMIT).longer_side
    choose = partial(_find, face, whole=side < picture_side)
    observation = await engine.observe(jpeg, choose, Timings())
    if not observation.faces:
        raise FaceNotFound("The face was not found again in its picture.")
    return observation.faces[0].embedding


def _find(face: StoredFace, found: list[Detection], size: tuple[int, int], *, whole: bool) -> list[Detection]:
    """The stored face in pixels of the picture, nothing where that can't be told.

    `size` is the picture's; `whole` says that the picture should be as large as the photo.
    """
    stored = Detection(face.box, face.landmarks, face.detection_score)
    misfit, scale = min((_fit(stored, each) for each in found), default=(1.0, 1.0))
    if misfit > MAX_MISFIT:
        return [stored] if whole and max(face.box) <= max(size) * 1.1 else []
    return [stored if whole and abs(scale - 1) < MAX_ROUNDING else stored.scaled(scale)]


def _fit(stored: Detection, found: Detection) -> tuple[float, float]:
    """How far the two lie apart, as a share of the face's width, at the scale that brings them closest; that scale."""
    large, small = _points(stored), _points(found)
    scale = float(np.sum(large * small) / np.sum(large * large))
    apart = float(np.sqrt(np.mean((small - large * scale) ** 2)))
    return apart / max(found.box.width, 1.0), scale


def _points(detection: Detection) -> NDArray[np.float64]:
    """The box's corners and the landmarks, (7, 2)."""
    box = detection.box
    return np.array([(box.left, box.top), (box.right, box.bottom), *detection.landmarks])
