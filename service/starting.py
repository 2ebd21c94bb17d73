"""Starts the service: its gallery is opened and its networks are compiled while the application is imported."""

from __future__ import annotations

import asyncio
import gc
import logging
import platform
import signal
from importlib import import_module

from service import __version__
from service.errors import FaceServiceError
from service.gallery.loading import Loaded, load_at_once
from service.log_writer import LogWriter
from service.logs import configure
from service.memory import return_memory
from service.models.runtimes import import_openvino, openvino_version
from service.settings import Settings

log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit status, 1 where that isn't possible, which the log explains."""
    return_memory()
    log_writer = LogWriter()
    configure(settings.log_format, settings.log_level, log_writer)
    log.info(
        "Face service %s, Python %s, OpenVINO %s, %s %s.",
        *(__version__, platform.python_version(), openvino_version(), platform.system(), platform.machine()),
    )
    try:
        asyncio.run(_serve(settings, log_writer))
    except asyncio.CancelledError:
        return 0
    except FaceServiceError as error:
        log_writer.say(f"The service can't start: {error}")
        return 1
    except OSError as error:
        log_writer.say(f"The service can't start: {error.strerror or error}; FACE_HOST and FACE_PORT set the address.")
        return 1
    return 0


async def _serve(settings: Settings, log_writer: LogWriter) -> None:
    """Raises CancelledError where it is told to stop before it serves; from then on, serving.serve listens for that."""
    starting = asyncio.current_task()
    assert starting  # noqa: S101 - asyncio.run made it
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, starting.cancel)
    loading = asyncio.create_task(load_at_once(settings))
    taken = False

    async def take() -> Loaded:
        nonlocal taken
        taken = True
        return await loading

    try:
        # In threads, so that the gallery's process is heard meanwhile; OpenVINO first, as compiling waits for it.
        await asyncio.to_thread(import_openvino)
        application, serving, log_metrics = await asyncio.to_thread(
            lambda: [import_module(f"service.http.{each}") for each in ("app", "serving", "log_metrics")]
        )
        app = application.create_app(settings, log_metrics.DroppedLines(log_writer), load=take)
        gc.enable()
        await asyncio.sleep(0)  # where it was told to stop meanwhile, this raises
        await serving.serve(app, settings.host, settings.port)
    finally:
        if not taken:
            await _give_up(loading)


async def _give_up(loading: asyncio.Task[Loaded]) -> None:
    loading.cancel()
    await asyncio.wait([loading])
    if not loading.cancelled() and loading.exception() is None:
        loaded = loading.result()
        loaded.networks.release()
        await loaded.store.close()
