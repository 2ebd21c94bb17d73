"""What the engine makes of each photo, observed once: kept under .bench/, since a thousand photos take a minute."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import service
from indexer.importing.local_engine import local_engine
from indexer.importing.pipeline import Observe
from indexer.progress import Progress
from scripts.bench.environments import BENCH
from service.errors import FaceServiceError
from service.gallery.enrollment import Candidate
from service.models.selection import ModelFiles
from service.settings import Settings
from service.values import Box, Detection, Face, Quality

_SOURCES = ("vision/*.py", "gallery/choices.py", "gallery/enrollment.py")
"""The code that decides what is seen in a photo: when it changes, all photos are observed anew."""

_IRRELEVANT = {
    "model", "weights", "model_dir", "host", "port", "data", "threshold", "fpir", "score", "duplicate", "threads",
    "max_queue", "receive_s", "log_format", "log_level", "picture_side",
}  # fmt: skip
"""Settings that change nothing about an embedding, or are in the contract; all others are part of the key."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a registration of the photo would remember, one face and no picture; or why it would be refused."""

    candidate: Candidate | None
    reason: str = ""
    """A slug of service.errors, where there is no candidate."""


async def observe_photos(
    settings: Settings, files: ModelFiles, paths: Iterable[Path], bench: Path = BENCH
) -> dict[Path, Observed]:
    """Each photo as the service would see it that is registered, from the cache or by the engine.

    Answers are kept by the model, the settings, the service's code and the photo's digest, so they never go stale.
    """
    kept = bench / "observed" / f"{_key(settings, files)}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in dict.fromkeys(paths)}
    answers = {line["sha256"]: line for line in map(json.loads, _lines(kept))}
    missing = {digest: path for path, digest in digests.items() if digest not in answers}
    if missing:
        with kept.open("a", encoding="utf-8") as file, Progress(len(missing), "photos") as progress:
            async for answer in _answers(settings, files, missing):
                answers[answer["sha256"]] = answer
                file.write(json.dumps(answer) + "\n")
                progress.advance()
                progress.note(failed="reason" in answer)
    return {path: _observed(answers[digest]) for path, digest in digests.items()}


def refusals(observed: Mapping[Path, Observed]) -> dict[str, list[Path]]:
    """The photos that were refused, by reason, the most frequent first."""
    by_reason: dict[str, list[Path]] = {}
    for path, each in observed.items():
        if each.candidate is None:
            by_reason.setdefault(each.reason, []).append(path)
    return dict(sorted(by_reason.items(), key=lambda item: -len(item[1])))


async def _answers(settings: Settings, files: ModelFiles, photos: Mapping[str, Path]) -> AsyncIterator[dict[str, Any]]:
    """Lines of JSON about photos, by their digests, as they become ready; as many at once as keep the engine busy."""
    async with local_engine(settings, files, "one") as (observe, at_once):
        waiting = iter(photos.items())
        running: set[asyncio.Task[dict[str, Any]]] = set()
        while True:
            for digest, path in itertools.islice(waiting, at_once - len(running)):
                running.add(asyncio.create_task(_answer(observe, digest, path)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                yield each.result()


async def _answer(observe: Observe, digest: str, path: Path) -> dict[str, Any]:
    """As a line of JSON."""
    try:
        candidate = await observe(await asyncio.to_thread(path.read_bytes), "")
    except FaceServiceError as error:
        return {"sha256": digest, "reason": error.code}
    detection = candidate.faces[0].detection
    embedding = np.asarray(candidate.faces[0].embedding, "<f4").tobytes()
    return {
        "sha256": digest,
        "box": detection.box,
        "landmarks": detection.landmarks,
        "score": detection.score,
        "quality": dataclasses.asdict(candidate.faces[0].quality),
        "embedding": base64.b64encode(embedding).decode(),
    }


def _observed(answer: Mapping[str, Any]) -> Observed:
    if "reason" in answer:
        return Observed(None, answer["reason"])
    landmarks = tuple((x, y) for x, y in answer["landmarks"])
    embedding = np.frombuffer(base64.b64decode(answer["embedding"]), "<f4").astype(np.float32)
    detection = Detection(Box(*answer["box"]), landmarks, answer["score"])
    face = Face(detection, embedding, Quality(**answer["quality"]))
    return Observed(Candidate(sha256=answer["sha256"], picture="", faces=(face,)))


def _key(settings: Settings, files: ModelFiles) -> str:
    """Names the model, and stands for all else that an embedding depends on."""
    values = {name: value for name, value in dataclasses.asdict(settings).items() if name not in _IRRELEVANT}
    parts = [repr(files.contract), repr(sorted(values.items()))]
    root = Path(service.__file__).parent
    parts += [path.read_text("utf-8") for pattern in _SOURCES for path in sorted(root.glob(pattern))]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{files.contract.model}-{digest[:16]}"


def _lines(file: Path) -> Sequence[str]:
    """Whole ones: a run that was broken off may have left half a line, which is cut off."""
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    return whole.splitlines()
