"""Engines on the machines of a Ray cluster: photos go out to them, candidates come back.

Only this process reads the folder, writes into the gallery and keeps the journal, so everything else is as without Ray.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexer.importing.local_engine import in_flight, local_engine
from indexer.importing.pipeline import Observe
from service.errors import FaceServiceError, InvalidSettings, ModelUnavailable
from service.extras import install_command
from service.gallery.enrollment import Candidate
from service.models import selection
from service.settings import Settings
from service.values import ModelContract

START_LIMIT_S = 300.0
"""Until all engines run; some machine may have to fetch the model first."""

RETRIES = 2
"""Of a photo whose engine died; one that kills them all is given up."""


class RemoteEngine:
    """Runs in an actor: one engine, for many photos at once."""

    def __init__(self, settings: Settings, contract: ModelContract, faces: str) -> None:
        self._settings = settings
        self._contract = contract
        self._faces = faces
        self._open = AsyncExitStack()
        self._starting = asyncio.Lock()
        self._observe: Observe | None = None

    async def start(self) -> None:
        """Load the model. Raises ModelUnavailable where the gallery's can't be had."""
        async with self._starting:
            if self._observe is None:
                files = await asyncio.to_thread(selection.prepare, self._settings, self._contract)
                if files.contract != self._contract:
                    raise ModelUnavailable(f"A machine of the cluster has another model than {self._contract.model}.")
                self._observe, _ = await self._open.enter_async_context(
                    local_engine(self._settings, files, self._faces)
                )

    async def observe(self, content: bytes, remark: str) -> Candidate | FaceServiceError:
        """See pipeline.Observe; what that would raise is returned, because Ray wraps what is raised."""
        await self.start()  # the actor may be a new one, in place of one that died
        assert self._observe is not None  # noqa: S101 - as `start` has returned
        try:
            return await self._observe(content, remark)
        except FaceServiceError as error:
            return error


def import_our_packages() -> None:
    """What a worker runs first; that it is found is all that counts.

    Later Ray puts the working folder in front of the path, where a folder may hold a `service.py` of its own.
    """


@asynccontextmanager
async def ray_engines(
    settings: Settings, contract: ModelContract, faces: str, engines: int | None
) -> AsyncIterator[tuple[Observe, int]]:
    """A pipeline's Observe on a cluster, or here where RAY_ADDRESS names none, and for how many photos at once.

    There is an engine a machine unless `engines` says how many. Raises InvalidSettings where Ray isn't installed or has
    no room, ModelUnavailable where a machine can't have the gallery's model.
    """
    ray = _ray()
    packages = [str(Path(__file__).parents[1]), str(Path(selection.__file__).parents[1])]
    hook = f"{import_our_packages.__module__}.{import_our_packages.__name__}"
    environment = {"py_modules": packages, "worker_process_setup_hook": hook}
    ray.init(runtime_env=environment, include_dashboard=False, logging_level="WARNING", log_to_driver=False)
    try:
        engines = engines or len([node for node in ray.nodes() if node["Alive"]])
        threads = settings.threads or max(1, int(ray.cluster_resources().get("CPU", 1)) // engines)
        # The machines of the cluster have no business with the gallery.
        settings = replace(settings, threads=threads, qdrant_api_key=None)
        actor = ray.remote(RemoteEngine).options(
            num_cpus=threads,
            num_gpus=1 if settings.compute == "cuda" else 0,
            max_concurrency=in_flight(threads),
            max_restarts=-1,
            max_task_retries=RETRIES,
            scheduling_strategy="SPREAD",
        )
        actors = [actor.remote(settings, contract, faces) for _ in range(engines)]
        await _started(ray, actors)
        yield _Spread(actors).observe, engines * in_flight(threads)
    finally:
        ray.shutdown()


class _Spread:
    """Gives each photo to the engine that has least to do."""

    def __init__(self, actors: list[Any]) -> None:
        self._actors = actors
        self._busy = [0] * len(actors)

    async def observe(self, content: bytes, remark: str) -> Candidate:
        """See pipeline.Observe."""
        chosen = self._busy.index(min(self._busy))
        self._busy[chosen] += 1
        try:
            answer: Candidate | FaceServiceError = await self._actors[chosen].observe.remote(content, remark)
        finally:
            self._busy[chosen] -= 1
        if isinstance(answer, FaceServiceError):
            raise answer
        return answer


async def _started(ray: Any, actors: list[Any]) -> None:
    try:
        async with asyncio.timeout(START_LIMIT_S):
            await asyncio.gather(*(actor.start.remote() for actor in actors))
    except TimeoutError:
        raise InvalidSettings(
            f"The Ray cluster could not start {len(actors)} engines within {START_LIMIT_S:g} s; set --workers to fewer "
            "or FACE_THREADS, the processors that each takes."
        ) from None
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"An engine on the Ray cluster could not be started: {reason}") from None


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise InvalidSettings(f"--ray needs the package ray; install it with `{install_command('ray')}`.") from None
    return ray
