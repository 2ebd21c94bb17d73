"""The faces in LFW's photos as they are and made worse (scripts.bench.damages): how good they are, and embeddings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.bench.damages import DAMAGES
from service.gallery.choices import one_face
from service.models.selection import ModelFiles
from service.settings import Settings
from service.values import Quality, Rgb
from service.vision.brightening import brightened
from service.vision.cropping import crop
from service.vision.loading import load_networks
from service.vision.quality import measure

SOUND, ANOTHER = "none", "none, another photo"
SMALLEST_FACE = 20
"""Pixels; smaller than the service's default, to see what becomes of small faces."""
BATCH = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """A face in a photo, and the crop that its embedding is made of."""

    quality: Quality
    pixels: Rgb


@dataclass(frozen=True, slots=True)
class Faces:
    """Of n faces the people (n,) by number, the embeddings (n, 512) and how good they are."""

    people: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    qualities: Sequence[Quality]

    def only(self, wanted: NDArray[np.bool_]) -> Faces:
        """Those of a mask (n,)."""
        qualities = [quality for quality, each in zip(self.qualities, wanted, strict=True) if each]
        return Faces(self.people[wanted], self.embeddings[wanted], qualities)

    def __len__(self) -> int:
        return len(self.people)


class Observer:
    """Finds the person in front in a photo, and embeds; with the settings' networks."""

    def __init__(self, settings: Settings, files: ModelFiles) -> None:
        networks = load_networks(replace(settings, min_face=SMALLEST_FACE), files)
        self._detector = networks.detector
        self._embedder = networks.embedder
        self._choose = one_face(settings)

    def see(self, photo: Rgb) -> tuple[Seen, float] | None:
        """The face in front, and its height in pixels."""
        found = self._detector.detect(photo)
        chosen = self._choose(found, (photo.shape[1], photo.shape[0]))
        if not chosen:
            return None
        face = chosen[0]
        pixels = crop(Image.fromarray(photo), face.box)
        return Seen(
            measure(pixels, face, [each for each in found if each is not face]), brightened(pixels)
        ), face.box.height

    def faces(self, people: Sequence[tuple[Path, Path]]) -> dict[str, Faces]:
        """By damage: each person's first photo with it, where a face is found; of the second without any."""
        seen: dict[str, list[tuple[int, Seen]]] = defaultdict(list)
        for person, (first, second) in enumerate(people):
            photo = read(first)
            sound, another = self.see(photo), self.see(read(second))
            if sound is None or another is None:
                continue
            seen[SOUND].append((person, sound[0]))
            seen[ANOTHER].append((person, another[0]))
            for name, damage in ((name, each) for family in DAMAGES.values() for name, each in family.items()):
                if damaged := self.see(damage(photo, sound[1])):
                    seen[name].append((person, damaged[0]))
        return {name: self._embedded(each) for name, each in seen.items()}

    def _embedded(self, seen: Sequence[tuple[int, Seen]]) -> Faces:
        crops = np.stack([each.pixels for _, each in seen])
        embeddings = [self._embedder.embed(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        people = np.array([person for person, _ in seen])
        return Faces(people, np.concatenate(embeddings), [each.quality for _, each in seen])


def people_of(paths: Sequence[Path], count: int) -> list[tuple[Path, Path]]:
    """Two photos each of so many people, spread over all that have two in folders of their own."""
    by_person = defaultdict(list)
    for path in paths:
        by_person[path.parent.name].append(path)
    several = [photos for photos in by_person.values() if len(photos) > 1]
    places = np.linspace(0, len(several) - 1, min(count, len(several))).astype(int)
    return [(several[place][0], several[place][1]) for place in places]


def read(path: Path) -> Rgb:
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB"))
