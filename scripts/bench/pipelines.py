"""What is compared: pipelines that turn a photo's path into faces, embeddings and milliseconds by stage."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from scripts.bench.environments import Environment, python_of

STAGES = ("decode", "detect", "embed", "total")
"""Milliseconds that every pipeline reports; `detect` includes the crops, `total` is bytes → embeddings."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One photo's answer: `size` is (width, height), `boxes` (n, 4), `embeddings` (n, dimension)."""

    size: tuple[int, int]
    boxes: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    milliseconds: Mapping[str, float]


class Pipeline(Protocol):
    """Ours and every reference; `versions` names the packages that do the work."""

    name: str
    versions: Mapping[str, str]

    def measure(self, path: Path) -> Measured | None:
        """Run one photo; None where the pipeline fails on it."""


class Reference:
    """A package in its own environment, asked over the pipes of reference.py, one photo at a time."""

    def __init__(self, environment: Environment, weights: Path | None) -> None:
        """Start it; `weights` is the state_dict of InceptionResnetV1 that facenet-pytorch shall use.

        Raises CannotInstallError where it can't be installed.
        """
        self.name = environment.name
        # -I: else modules of this folder, such as profile, would stand before the standard library's of that name.
        command = [python_of(environment), "-I", Path(__file__).parent / "reference.py", environment.package]
        if weights:
            command += ["--weights", weights]
        self._process = subprocess.Popen(  # noqa: S603 - our own script in our own environment
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions: Mapping[str, str] = self._read()["versions"]

    def measure(self, path: Path) -> Measured | None:
        answer = self.answer(path)
        return None if "error" in answer else measured(answer)

    def answer(self, path: Path) -> dict[str, Any]:
        """The line that reference.py says about a photo."""
        assert self._process.stdin  # noqa: S101 - opened as a pipe
        self._process.stdin.write(f"{path.resolve()}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout  # noqa: S101 - opened as a pipe
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self._process.wait()}; its error stands above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes its input, upon which it ends


def measured(answer: Mapping[str, Any]) -> Measured:
    """A line of reference.py as arrays."""
    vectors = [np.frombuffer(base64.b64decode(text), dtype="<f4") for text in answer["embeddings"]]
    return Measured(
        size=(answer["width"], answer["height"]),
        boxes=np.asarray(answer["boxes"], dtype=np.float64).reshape(-1, 4),
        embeddings=np.stack(vectors) if vectors else np.empty((0, 0), dtype=np.float32),
        milliseconds=answer["milliseconds"],
    )
