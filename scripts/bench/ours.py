"""Our service's engine as one of the pipelines: in this process, with the settings that the service would have."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np

from scripts.bench.pipelines import Measured
from scripts.bench.report import OURS, OURS_INT8
from service.errors import FaceServiceError
from service.models import selection
from service.models.runtimes import multiplies_int8
from service.settings import Settings
from service.timings import Timings
from service.vision.engine import Engine, open_engine


@contextlib.contextmanager
def ours_started(environ: Mapping[str, str]) -> Iterator[list[Ours]]:
    """The engine of the FACE_* variables, and the same in int8 where that was made and they don't mean it."""
    settings = Settings.from_env(environ)
    with contextlib.ExitStack() as running:
        ours = [running.enter_context(Ours.started(OURS, settings))]
        if settings.precision == "auto" and ours[0].files.facenet_int8.exists() and not multiplies_int8():
            int8 = dataclasses.replace(settings, precision="int8")
            ours.append(running.enter_context(Ours.started(OURS_INT8, int8)))
        yield ours


class Ours:
    """The engine, embedding every face that it finds, one photo at a time."""

    versions: Mapping[str, str] = {}

    def __init__(self, name: str, runner: asyncio.Runner, engine: Engine, files: selection.ModelFiles) -> None:
        self.name = name
        self._runner = runner
        self._engine = engine
        self.files = files
        self.weights = files.weights
        """The state_dict behind the embeddings, for references that shall use the same."""
        self.contract = files.contract

    @classmethod
    @contextlib.contextmanager
    def started(cls, name: str, settings: Settings) -> Iterator[Self]:
        """An engine made of the settings, as the service makes its own."""
        files = selection.prepare(settings, kept=None)
        with asyncio.Runner() as runner:
            engine = runner.run(open_engine(settings, files))
            try:
                yield cls(name, runner, engine, files)
            finally:
                runner.run(engine.close())

    def measure(self, path: Path) -> Measured | None:
        """Run one photo from bytes in memory to embeddings; None where the engine refuses it."""
        try:
            return self._runner.run(self._measure(path.read_bytes()))
        except FaceServiceError as error:
            print(f"{path}: {error}", flush=True)
            return None

    async def _measure(self, photo: bytes) -> Measured:
        timings = Timings()
        started = time.perf_counter()
        seen = await self._engine.observe(photo, choose=lambda found, _: found, timings=timings)
        total = (time.perf_counter() - started) * 1000
        return Measured(
            size=seen.size,
            boxes=np.array([face.detection.box for face in seen.faces], dtype=np.float64).reshape(-1, 4),
            embeddings=np.array([face.embedding for face in seen.faces], dtype=np.float32).reshape(-1, 512),
            milliseconds={
                "decode": timings["decode"],
                "detect": timings["detect"] + timings["crop"],
                "embed": timings["embed"],
                "total": total,
            },
        )
