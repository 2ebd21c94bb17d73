"""The same import on a Ray cluster: two engines on this machine, writing into a Qdrant server behind gRPC."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.commands import index
from service.errors import InvalidSettings
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.opening import open_store
from service.values import DEFAULT_GALLERY
from tests.conftest import MODELS
from tests.support import qdrant
from tests.support.processes import ROOT

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: the extra ray")


@pytest.mark.process
@needs_ray
@pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)
async def test_two_engines_fill_the_gallery_of_a_server(tmp_path: Path, album: Path, files: ModelFiles) -> None:
    """Every photo once, broken ones named, and nothing is left to do for a second run without Ray.

    The engines find our packages, not those that happen to lie in the working folder.
    """
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("service", "indexer"):
        (elsewhere / f"{name}.py").write_text('raise SystemExit("A module of the working folder was imported.")')
    (album / "broken.jpg").write_bytes(b"broken")
    server = qdrant.Qdrant(api_key="secret")
    await server.start()
    settings = Settings(
        data=tmp_path / "data",
        model_dir=MODELS,
        model="casia-webface",
        qdrant_url=server.url,
        qdrant_grpc_port=server.port,
        qdrant_api_key="secret",
    )
    environ = {
        "FACE_DATA": str(settings.data),
        "FACE_MODEL_DIR": str(MODELS),
        "FACE_MODEL": settings.model,
        "FACE_QDRANT_URL": server.url,
        "FACE_QDRANT_GRPC_PORT": str(server.port),
        "FACE_QDRANT_API_KEY": "secret",
        "FACE_THREADS": "1",
    }
    words = ["index", str(album), "--ray", "--workers", "2", "--report", str(tmp_path / "report.jsonl")]
    # In a process of its own: Ray leaves threads and open files behind.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "indexer", *words),
        cwd=elsewhere,
        env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert await asyncio.wait_for(process.wait(), 300) == 1
        assert await _remarks(settings) == ["astronaut", "biden", "obama", "obama"]
        lines = await asyncio.to_thread((tmp_path / "report.jsonl").read_text)
        assert lines.count('"registered"') == 4
        assert lines.count('"unreadable"') == 1
        parser = argparse.ArgumentParser()
        index.arguments(parser)
        assert await index.run(settings, parser.parse_args([str(album)])) == 1
        assert len(await _remarks(settings)) == 4
    finally:
        await server.stop()


async def _remarks(settings: Settings) -> list[str]:
    store = open_store(settings)
    try:
        contract = await store.open()
        assert contract is not None
        await store.bind(contract)
        return sorted([face.remark async for face in store.scan(gallery=DEFAULT_GALLERY)])
    finally:
        await store.close()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed here")
async def test_without_ray_a_sentence_says_what_to_install(settings: Settings, album: Path) -> None:
    parser = argparse.ArgumentParser()
    index.arguments(parser)
    with pytest.raises(InvalidSettings, match=r"pip install 'face-service\[ray\]'"):
        await index.run(replace(settings, threads=1), parser.parse_args([str(album), "--ray"]))
