"""How the limits of a face's quality were chosen: photos of LFW made worse, how often different people are alike in
them, and what the limits let through and refuse.

Run from the project's folder: `python -m scripts.bench.quality_limits --faces ../shared/faces`, with FACE_MODEL or
FACE_WEIGHTS for the model; it takes some minutes. Two faces are alike from --threshold on. «Alike» is the share of the
pairs of different people that are, both damaged in the same way; «found» the share of damaged faces that are alike to
another, sound photo of the same person.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.bench.damaged_faces import ANOTHER, SOUND, Faces, Observer, people_of, read
from scripts.bench.damages import DAMAGES
from scripts.bench.photos import FACES, photos_below
from service.commands.markdown import table
from service.gallery.scoring import CANDIDATES, rank
from service.gallery.thresholds import threshold_for
from service.models import selection
from service.settings import Score, Settings
from service.values import Neighbour, Quality
from service.vision.quality import ENROLL, ENROLL_STRICT, IDENTIFY, Check, failure_of

POOR_MEMBERS = 5
"""Damaged faces among the sound ones of a gallery: a few bad registrations."""

Limited = Callable[[Quality], float]
MEASURES: Mapping[str, tuple[Sequence[str], Limited, Sequence[float]]] = {
    "sharpness, at least": (("blurred", "small"), lambda each: each.sharpness, (0, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08)),
    "contrast, at least": (("pale", "dark"), lambda each: each.contrast, (0, 4, 6, 7, 8, 9, 10, 12)),
    "brightness, at least": (("dark",), lambda each: each.brightness, (0, 10, 14, 18, 22, 26, 30, 40)),
    "noise, at most": (("noisy", "dark"), lambda each: -each.noise, (-99, -12, -10, -8, -7, -6, -5, -4)),
    "clipped to white, at most": (("overexposed",), lambda each: -each.clipped_bright, (-1, -0.4, -0.3, -0.2, -0.1)),
    "width, at least": (("small",), lambda each: each.side, (0, 20, 30, 40, 50)),
}
"""What is measured (turned round where less is better), the damages that it shall tell, and limits from none on."""


def main(environ: Mapping[str, str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, default=FACES, help="folder with lfw_dev (%(default)s)")
    parser.add_argument("--people", type=int, default=120, help="people whose photos are made worse (%(default)s)")
    parser.add_argument("--threshold", type=float, default=0.6, help="cosine from which on two are alike (%(default)s)")
    parser.add_argument("--sound", type=int, default=5000, help="sound photos at most (%(default)s)")
    options = parser.parse_args()
    photos = photos_below(options.faces / "lfw_dev" / "images")
    if not photos:
        parser.error(f"{options.faces / 'lfw_dev'} is missing; name the folder above it with --faces.")
    settings = Settings.from_env(environ)
    files = selection.prepare(settings, kept=None)
    observer = Observer(settings, files)
    faces = observer.faces(people_of(photos, options.people))
    every = max(1, len(photos) // options.sound)
    sound = [seen[0].quality for path in photos[::every] if (seen := observer.see(read(path)))]
    limits = Limits(faces, sound, options.threshold)
    print(f"# {files.contract.model}: {len(faces[SOUND])} people made worse, {len(sound)} sound faces", end="\n\n")
    print("## What damage does, without limits and with those of recognition", limits.by_damage(), sep="\n\n")
    for name, (families, value, steps) in MEASURES.items():
        print(f"\n## {name}", limits.tightened(families, value, steps), sep="\n\n")
    print("\n## Sound photos that are refused", limits.refused(), sep="\n\n")
    auto = threshold_for(Settings(threshold="auto"), files.contract.model)(len(faces[SOUND]))
    print(f"\n## {POOR_MEMBERS} bad registrations", limits.gallery(auto), sep="\n\n")


@dataclass(frozen=True, slots=True)
class Limits:
    """Faces by damage, the qualities of sound photos, and the cosine from which on two faces are alike."""

    faces: Mapping[str, Faces]
    sound: Sequence[Quality]
    threshold: float

    def by_damage(self) -> str:
        rows = []
        for family, name in _damages(DAMAGES):
            before, after = self.faces[name], _passing(self.faces[name], IDENTIFY)
            alike = [self._alike(before), self._alike(after)]
            shares = [f"{self._found(each):.0%}" for each in (before, after)]
            rows.append(
                [f"{family}: {name}", str(len(before)), shares[0], alike[0], str(len(after)), shares[1], alike[1]]
            )
        header = ["damage", "faces", "found", "alike", "faces let through", "found of them", "alike of them"]
        return table(header, [self._undamaged(), *rows])

    def tightened(self, families: Sequence[str], value: Limited, steps: Sequence[float]) -> str:
        """A row for each limit: sound faces refused, and by damage the faces let through and the alike of them."""
        names = [name for _, name in _damages({family: DAMAGES[family] for family in families})]
        rows = []
        for step in steps:
            refused = np.mean([value(each) < step for each in self.sound])
            kept = [_from(self.faces[name], value, step) for name in names]
            rows.append([f"{abs(step):g}", f"{refused:.2%}", *(f"{len(each)}: {self._alike(each)}" for each in kept)])
        return table(["limit", "sound refused", *names], rows)

    def refused(self) -> str:
        """Shares of the sound faces by reason, for what each level asks."""
        rows = []
        for name, checks in {"identify": IDENTIFY, "standard": ENROLL, "strict": ENROLL_STRICT}.items():
            shares = [np.mean([check(each) is not None for each in self.sound]) for check in ENROLL_STRICT]
            asked = [
                f"{share:.2%}" if check in checks else "" for check, share in zip(ENROLL_STRICT, shares, strict=True)
            ]
            total = np.mean([failure_of(each, checks) is not None for each in self.sound])
            rows.append([name, f"{total:.2%}", *asked])
        return table(["", "any", *(check.__name__ for check in ENROLL_STRICT)], rows)

    def gallery(self, auto: float) -> str:
        """Damaged strangers taken for somebody where a few others are registered with the same damage."""
        rows = []
        for _, name in _damages(DAMAGES):
            limited = [_passing(self.faces[name], checks) for checks in ((), IDENTIFY)]
            pairs = [
                (self._taken(each, "cosine", self.threshold), self._taken(each, "cohort", auto)) for each in limited
            ]
            rows.append([name, *pairs[0], *pairs[1]])
        header = [f"cosine {self.threshold:g}", f"cohort {auto:.3f}"]
        return table(["damage", *header, *(f"{each}, with limits" for each in header)], rows)

    def _taken(self, faces: Faces, score: Score, threshold: float) -> str:
        """Share of the faces, less those registered, that are taken for one of them or of other sound people."""
        members, probes = np.arange(len(faces)) < POOR_MEMBERS, np.arange(len(faces)) >= POOR_MEMBERS
        poor, others = faces.only(members), faces.only(probes)
        if not len(others):
            return "none left"
        taken = 0
        for person, embedding in zip(others.people, others.embeddings, strict=True):
            strangers = self.faces[ANOTHER].only(self.faces[ANOTHER].people != person)
            gallery = np.concatenate([strangers.embeddings, poor.embeddings])
            remarks = [str(each) for each in (*strangers.people, *poor.people)]
            similarities = gallery @ embedding
            nearest = similarities.argsort()[::-1][:CANDIDATES]
            neighbours = [Neighbour(int(each), remarks[each], float(similarities[each])) for each in nearest]
            taken += rank(neighbours, score, complete=False)[0].score >= threshold
        return f"{taken / len(others):.1%}"

    def _undamaged(self) -> list[str]:
        faces, passing = self.faces[SOUND], _passing(self.faces[SOUND], IDENTIFY)
        cells = [[str(len(each)), f"{self._found(each):.0%}", self._alike(each)] for each in (faces, passing)]
        return [SOUND, *cells[0], *cells[1]]

    def _found(self, faces: Faces) -> float:
        others = self.faces[ANOTHER]
        place = {int(person): index for index, person in enumerate(others.people)}
        partners = others.embeddings[[place[int(person)] for person in faces.people]]
        similarities = (faces.embeddings * partners).sum(axis=1)
        return float((similarities >= self.threshold).mean()) if len(faces) else 0.0

    def _alike(self, faces: Faces) -> str:
        pairs = faces.embeddings @ faces.embeddings.T
        similarities = pairs[np.triu_indices(len(faces), 1)]
        return f"{(similarities >= self.threshold).mean():.2%}" if len(similarities) else "none left"


def _damages(families: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    return [(family, name) for family, names in families.items() for name in names]


def _passing(faces: Faces, checks: Sequence[Check]) -> Faces:
    return faces.only(np.array([failure_of(each, checks) is None for each in faces.qualities], dtype=bool))


def _from(faces: Faces, value: Limited, limit: float) -> Faces:
    return faces.only(np.array([value(each) >= limit for each in faces.qualities], dtype=bool))


if __name__ == "__main__":
    main(os.environ)
