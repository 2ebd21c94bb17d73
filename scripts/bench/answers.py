"""The reference's answers about many photos, kept as JSON lines under .bench/, because making them takes minutes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from scripts.bench.environments import BENCH, FACENET_PYTORCH
from scripts.bench.pipelines import Measured, Reference, measured
from service.values import ModelContract


def reference_answers(
    paths: Sequence[Path], weights: Path, contract: ModelContract, bench: Path = BENCH
) -> list[Measured | None]:
    """What facenet-pytorch finds on each photo, in order; None where it fails. `weights` are those of `contract`.

    Answers are kept by the model and the photo's digest, so they never go stale. Their milliseconds are those of the
    run that made them: fit for agreement and accuracy, not for comparing speed.
    Raises CannotInstallError where answers are missing and the reference can't be installed.
    """
    bench.mkdir(exist_ok=True)
    kept = bench / f"facenet-pytorch-{contract.model}-{contract.digest[:16]}.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    answers = {answer["sha256"]: answer for answer in map(json.loads, lines)}
    digests = [_digest(path) for path in paths]
    missing = {digest: path for digest, path in zip(digests, paths, strict=True) if digest not in answers}
    if missing:
        print(f"Asking facenet-pytorch about {len(missing)} photos; the answers are kept in {kept}.", flush=True)
        with Reference(FACENET_PYTORCH, weights) as reference, kept.open("a", encoding="utf-8") as file:
            for digest, path in missing.items():
                answers[digest] = reference.answer(path) | {"path": path.name, "sha256": digest}
                file.write(json.dumps(answers[digest]) + "\n")
                file.flush()  # minutes of work are worth keeping when the run is broken off
    return [None if "error" in answers[digest] else measured(answers[digest]) for digest in digests]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
