"""An engine has the networks that the settings ask for, on the processor or in the process that owns the GPU."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from service.errors import InvalidSettings
from service.models.selection import ModelFiles
from service.settings import Settings
from service.timings import Timings
from service.values import Face
from service.vision.detector import Detector
from service.vision.embedder import MirroredEmbedder, OpenVinoEmbedder, uses_gpu
from service.vision.engine import Engine, engine_of
from service.vision.gpu.starting import GpuProcess
from service.vision.loading import Networks, gpu_options, networks_at


def test_the_processor_is_used_where_it_is_asked_for() -> None:
    assert not uses_gpu("cpu")


@pytest.mark.torch
def test_a_gpu_that_is_not_there_is_missed_only_where_it_is_asked_for() -> None:
    import torch

    if torch.cuda.is_available():
        assert uses_gpu("cuda")
        return
    assert not uses_gpu("auto")
    with pytest.raises(InvalidSettings, match="torch finds no GPU"):
        uses_gpu("cuda")


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.process
@pytest.mark.parametrize("mirror", [False, True])
async def test_an_engine_with_a_gpus_process_finds_what_one_without_finds(
    files: ModelFiles, by_default: Detector, exact: OpenVinoEmbedder, portraits: dict[str, bytes], mirror: bool
) -> None:
    """Here that process computes on the processor; it ends with the engine."""
    settings = replace(Settings(), threads=2, precision="f32", mirror=mirror)
    process = GpuProcess(gpu_options(settings, files.weights, "cpu"))
    engine = engine_of(settings, networks_at(process.address, settings, release=process.close))
    assert engine.workers > 64
    alone = engine_of(settings, Networks(by_default, MirroredEmbedder(exact) if mirror else exact))
    try:
        for photo in list(portraits.values())[:2]:
            [face], [expected] = [(await _observed(each, photo)) for each in (engine, alone)]
            np.testing.assert_allclose(face.detection.box, expected.detection.box, atol=0.01)
            assert float(face.embedding @ expected.embedding) > 0.9999
        assert engine.gpu_memory_bytes is not None
        assert engine.gpu_memory_bytes() == 0
        assert alone.gpu_memory_bytes is None
    finally:
        await engine.close()
        await alone.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def _observed(engine: Engine, photo: bytes) -> list[Face]:
    observation = await engine.observe(photo, lambda found, _: found[:1], Timings())
    return observation.faces
