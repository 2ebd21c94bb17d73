"""What is made of a photo's pixels: decoded, searched, its chosen faces cropped and its picture made, in one visit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from service.settings import Settings
from service.timings import Timings
from service.values import CROP_SIDE, Detection, Quality, Rgb
from service.vision.brightening import brightened
from service.vision.detector import FaceDetector, crop
from service.vision.images import accept, readable_formats, to_base64, to_jpeg
from service.vision.orientation import search, turned
from service.vision.quality import brightness, measure

Choice = Callable[[list[Detection], tuple[int, int]], list[Detection]]
"""Which of a photo's detections (the largest first) are wanted, so that no other is embedded; may raise.

The photo's (width, height) comes along, upright and in the same pixels as the detections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an engine takes on: bytes, pixels and formats of a photo, how it is searched, how much may wait.

    A photo is searched with at most `search_side` pixels on its longer side, and with `rotate` also lying the other
    ways, where its faces may not stand upright.
    """

    max_bytes: int
    max_pixels: int
    formats: tuple[str, ...]
    search_side: int
    rotate: bool
    max_queue: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those that the settings ask for, over all formats that can be read here."""
        return cls(
            max_bytes=settings.max_bytes,
            max_pixels=settings.max_pixels,
            formats=readable_formats(),
            search_side=settings.search_side,
            rotate=settings.rotate,
            max_queue=settings.max_queue,
        )


class Prepared(NamedTuple):
    """What a worker hands to the event loop: some 100 KB, never the photo's pixels. See Observation."""

    size: tuple[int, int]
    rotation: int
    detections: list[Detection]
    crops: list[Rgb]
    qualities: list[Quality]
    picture: str
    best_score: float
    """The detector's greatest certainty of any face, wanted or not; 0 where it found none."""
    brightness: float
    """The photo's mean grey value, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """A worker thread's part of every photo; may be called from several threads at once."""

    detector: FaceDetector
    limits: Limits

    def prepare(self, photo: bytes, choose: Choice, timings: Timings, picture_side: int | None = None) -> Prepared:
        """Everything that is made of the photo's pixels; the picture only where `picture_side` is given, in pixels.

        Raises what images.decode raises for a photo that can't be used, and what `choose` raises.
        """
        limits = self.limits
        with timings.measure("decode"):
            accepted = accept(photo, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, formats=limits.formats)
            reduction = accepted.reduction_to(limits.search_side)
            decoded = accepted.decode(reduction)
        with timings.measure("detect"):
            upright, rotation, detections = search(decoded, self.detector, rotate=limits.rotate)
            found = choose(detections, upright.size)
        with timings.measure("crop"):
            chosen = [each.scaled(reduction) for each in found] if reduction > 1 else found
            sharp, sharp_reduction = upright, _reduction_for_crops(chosen, reduction)
            if sharp_reduction < reduction:
                sharp = turned(accepted.decode(sharp_reduction), rotation)
            crops = [crop(sharp, each.box.scaled(1 / sharp_reduction)) for each in chosen]
            others = [each.scaled(reduction) for each in detections if each not in found]
            qualities = [measure(pixels, face, others) for pixels, face in zip(crops, chosen, strict=True)]
            crops = [brightened(each) for each in crops]
        picture = ""
        if crops and picture_side is not None:
            with timings.measure("picture"):
                picture = to_base64(to_jpeg(upright, picture_side))
        size, best_score = accepted.upright_size(upright), max((each.score for each in detections), default=0.0)
        return Prepared(size, rotation, chosen, crops, qualities, picture, best_score, brightness(upright))


def _reduction_for_crops(detections: list[Detection], reduction: int) -> int:
    """How much the photo may be reduced, at most `reduction`, for the smallest of these faces to fill a crop."""
    sides = [min(each.box.width, each.box.height) for each in detections]
    while reduction > 1 and sides and min(sides) / reduction < CROP_SIDE:
        reduction //= 2
    return reduction
