"""What is made of a photo's pixels: decoded, searched, its chosen faces cropped and its picture made, in one visit."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple, cast

from PIL import Image

from service.errors import UnsupportedFormat
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.values import CROP_SIDE, Box, Detection, Quality, Rgb
from service.vision.brightening import brightened
from service.vision.containers.check import is_ordinary, may_be_photo
from service.vision.cropping import crop, stacked, unstacked
from service.vision.detector import FaceDetector
from service.vision.file_kinds import refusal
from service.vision.images import Photo, accept, readable_formats, require_bytes, to_base64, to_jpeg, upright_size
from service.vision.orientation import search
from service.vision.quality import brightness, measure

MAX_DECODING_PROCESSES = 2
"""Each takes 35 MB, and as much again as the photo that it decodes."""

Choice = Callable[[list[Detection], tuple[int, int]], list[Detection]]
"""Which of a photo's detections (the largest first) are wanted, so that no other is embedded; may raise.

The photo's (width, height) comes along, upright and in the same pixels as the detections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an engine takes on: bytes, pixels and formats of a photo, how it is searched, how much may wait.

    What isn't an ordinary photo is decoded in `decoding_processes`, and may take `decode_s` seconds of processor time.

    A photo is searched with at most `search_side` pixels on its longer side, and with `rotate` also lying the other
    ways, where its faces may not stand upright.
    """

    max_bytes: int
    max_pixels: int
    formats: tuple[str, ...]
    search_side: int
    rotate: bool
    max_queue: int
    decode_s: float = 5.0
    decoding_processes: int = 2

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
            decode_s=settings.decode_s,
            decoding_processes=min(model_threads(settings), MAX_DECODING_PROCESSES),
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


class Undecoded(NamedTuple):
    """How a photo is wanted that isn't decoded here: reduced to a longer side, or by a known `reduction`.

    With `boxes` only the crops of those faces are wanted, stacked; see Photo.crops.
    """

    side: int
    reduction: int = 0
    boxes: tuple[Box, ...] = ()
    rotation: int = 0


class Elsewhere(NamedTuple):
    """What became of a photo that was decoded elsewhere: the size in its head, the reduction, and the picture."""

    size: tuple[int, int]
    reduction: int
    picture: Image.Image


Steps = Generator[Undecoded, Elsewhere, Prepared]
"""A photo's preparation. It stops where the photo isn't decoded here, and goes on, in any thread, with the picture."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """A worker thread's part of every photo; may be called from several threads at once."""

    detector: FaceDetector
    limits: Limits

    def prepare(self, photo: bytes, choose: Choice, timings: Timings, picture_side: int | None = None) -> Prepared:
        """As `steps`, with every photo decoded here, however long it takes: for photos of one's own."""
        steps = self.steps(photo, choose, timings, picture_side)
        try:
            wanted = next(steps)
            while True:
                accepted = self._accept(photo)
                reduction = wanted.reduction or accepted.reduction_to(wanted.side)
                if wanted.boxes:
                    picture = stacked(accepted.crops(wanted.boxes, reduction, wanted.rotation))
                else:
                    picture = accepted.decode(reduction)
                wanted = steps.send(Elsewhere(accepted.size, reduction, picture))
        except StopIteration as done:
            return cast("Prepared", done.value)

    def steps(self, photo: bytes, choose: Choice, timings: Timings, picture_side: int | None = None) -> Steps:
        """Everything that is made of the photo's pixels; the picture only where `picture_side` is given, in pixels.

        Raises what images.decode raises for a photo that can't be used, ImplausibleImage for one that would take long,
        and what `choose` raises.
        """
        search_side = self.limits.search_side
        with timings.measure("decode"):
            accepted = self._accept(photo) if self._is_ordinary(photo) else None
            if accepted is not None:
                size, reduction = accepted.size, accepted.reduction_to(search_side)
                decoded = accepted.decode(reduction)
            else:
                size, reduction, decoded = yield Undecoded(search_side)
        with timings.measure("detect"):
            upright, rotation, detections = search(decoded, self.detector, rotate=self.limits.rotate)
            found = choose(detections, upright.size)
        with timings.measure("crop"):
            chosen = [each.scaled(reduction) for each in found] if reduction > 1 else found
            sharp = _reduction_for_crops(chosen, reduction)
            boxes = tuple(each.box.scaled(1 / sharp) for each in chosen)
            if sharp == reduction:
                crops = [crop(upright, each) for each in boxes]
            elif accepted is not None:
                crops = accepted.crops(boxes, sharp, rotation)
            else:
                _, _, of_faces = yield Undecoded(search_side, sharp, boxes, rotation)
                crops = unstacked(of_faces)
            others = [each.scaled(reduction) for each in detections if each not in found]
            qualities = [measure(pixels, face, others) for pixels, face in zip(crops, chosen, strict=True)]
            crops = [brightened(each) for each in crops]
        picture = ""
        if crops and picture_side is not None:
            with timings.measure("picture"):
                picture = to_base64(to_jpeg(upright, picture_side))
        best_score = max((each.score for each in detections), default=0.0)
        return Prepared(
            upright_size(size, upright), rotation, chosen, crops, qualities, picture, best_score, brightness(upright)
        )

    def _is_ordinary(self, photo: bytes) -> bool:
        """Whether a worker thread may decode it. Raises for bytes that no reader should see."""
        require_bytes(photo, self.limits.max_bytes)
        if not may_be_photo(photo):
            raise UnsupportedFormat(refusal(photo, self.limits.formats))
        return is_ordinary(photo, max_pixels=self.limits.max_pixels)

    def _accept(self, photo: bytes) -> Photo:
        limits = self.limits
        return accept(photo, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, formats=limits.formats)


def _reduction_for_crops(detections: list[Detection], reduction: int) -> int:
    """How much the photo may be reduced, at most `reduction`, for the smallest of these faces to fill a crop."""
    sides = [min(each.box.width, each.box.height) for each in detections]
    while reduction > 1 and sides and min(sides) / reduction < CROP_SIDE:
        reduction //= 2
    return reduction
