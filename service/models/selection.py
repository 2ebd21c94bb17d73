"""Decides which weights the service uses and has their files ready.

The models folder (FACE_MODELS) holds the converted files, see folder and conversion:

    <model>-<digest>/facenet.xml, .bin, .safetensors    FaceNet; digest: first 16 digits of the source file's SHA-256
    <model>-<digest>-int8/facenet.xml, .bin             the same in int8, where `python -m service quantize` was run
    mtcnn-<digest>/{pnet,rnet,onet}.xml, .bin           the detector
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from service.errors import ContractMismatch, ModelUnavailable
from service.models import conversion
from service.models.downloads import (
    CASIA_WEBFACE,
    KNOWN_DIGESTS,
    MTCNN_DIGEST,
    VGGFACE2,
    PublishedWeights,
    packaged_file,
    torch_checkpoint,
)
from service.models.folder import Manifest, intact, ready, remake, sha256, subfolder
from service.models.runtimes import install_converter, package_folder, require_converter
from service.values import ModelContract

log = logging.getLogger(__name__)

PREPROCESSING = 1
DIMENSION = 512

_INT8_FILES = ("facenet.xml", "facenet.bin")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The engine's files (conversion describes their graphs) and the contract of the embeddings they give."""

    contract: ModelContract
    facenet: Path
    facenet_int8: Path  # made by quantization, not always there
    weights: Path
    pnet: Path
    rnet: Path
    onet: Path


def prepare(
    settings_model: str,
    weights: Path | None,
    folder: Path,
    kept: ModelContract | None,
    vggface2: PublishedWeights = VGGFACE2,
) -> ModelFiles:
    """Have the model's files ready in `folder`, fetching and converting what is missing, and log which model it is.

    `settings_model` is FACE_MODEL, `weights` FACE_WEIGHTS, `kept` the contract of the gallery that will be opened.
    A file in `weights` is used whatever its model; then a named model; `auto` takes, first that can be had: the
    gallery's model, vggface2 or casia-webface from `folder`, vggface2 from torch's cache or its host, casia-webface.
    Raises ModelUnavailable when files can't be had or are damaged, ContractMismatch when a gallery's model is unknown.
    """
    try:
        chosen, facenet = _first_available(_candidates(settings_model, weights, kept, folder, vggface2), folder)
        mtcnn = _ready(folder, "mtcnn", MTCNN_DIGEST, conversion.MTCNN_FILES, _make_mtcnn)
    except OSError as error:
        raise ModelUnavailable(f"Model files can't be kept in FACE_MODELS={folder} ({error}).") from error
    log.info("Model %s (sha256 %s), %s.", chosen.model, chosen.digest[:16], chosen.reason)
    return ModelFiles(
        contract=ModelContract(chosen.model, chosen.digest, PREPROCESSING, DIMENSION),
        facenet=facenet / "facenet.xml",
        facenet_int8=facenet.with_name(f"{facenet.name}-int8") / "facenet.xml",
        weights=facenet / "facenet.safetensors",
        pnet=mtcnn / "pnet.xml",
        rnet=mtcnn / "rnet.xml",
        onet=mtcnn / "onet.xml",
    )


def int8_graph(files: ModelFiles) -> Path:
    """The model's int8 graph; raises ModelUnavailable where it wasn't made yet or is damaged or of an older version."""
    if not intact(files.facenet_int8.parent, _int8_manifest(files), _INT8_FILES):
        fault = "is damaged or of an older version" if files.facenet_int8.exists() else "was not made yet"
        raise ModelUnavailable(
            f"The int8 model of {files.contract.model} {fault}; `python -m service quantize PHOTOS` makes it."
        )
    return files.facenet_int8


def keep_int8_graph(files: ModelFiles, make: Callable[[Path], None]) -> None:
    """Replace the model's int8 graph by the .xml and .bin that `make(folder)` writes; what it raises passes through."""
    remake(files.facenet_int8.parent, _int8_manifest(files), _INT8_FILES, make)


def _int8_manifest(files: ModelFiles) -> Manifest:
    """Without the version of the conversion: a newer detector is no reason to quantize FaceNet anew."""
    return {**asdict(files.contract), "precision": "int8"}


@dataclass(frozen=True, slots=True)
class _Choice:
    """A model, why it is taken, and what writes its files should they not be in the models folder."""

    model: str
    digest: str
    reason: str
    make: Callable[[Path], None]


def _candidates(
    settings_model: str, weights: Path | None, kept: ModelContract | None, folder: Path, vggface2: PublishedWeights
) -> list[_Choice]:
    """The models that would do, best first."""
    if weights is not None:
        return [_weights_file(weights, settings_model)]
    if settings_model != "auto":
        return [_published(settings_model, "as FACE_MODEL says", vggface2)]
    if kept is not None:
        return [_gallerys(kept, vggface2)]
    sources = [vggface2, CASIA_WEBFACE]
    there = [each.model for each in sources if subfolder(folder, each.model, each.digest).exists()]
    rest = [each.model for each in sources if each.model not in there]
    return [
        *(_published(model, "found in the models folder", vggface2) for model in there),
        *(_published(model, "the best that can be had", vggface2, probe=True) for model in rest),
    ]


def _first_available(candidates: list[_Choice], folder: Path) -> tuple[_Choice, Path]:
    """The first choice whose files are or can be made ready, and their folder; the last one's error passes through."""
    *others, last = candidates
    for choice in others:
        try:
            return choice, _ready(folder, choice.model, choice.digest, conversion.FACENET_FILES, choice.make)
        except ModelUnavailable as error:
            log.warning("%s", error)
    return last, _ready(folder, last.model, last.digest, conversion.FACENET_FILES, last.make)


def _ready(folder: Path, model: str, digest: str, names: tuple[str, ...], make: Callable[[Path], None]) -> Path:
    return ready(folder, model, digest, conversion.CONVERSION, names, make)


def _weights_file(path: Path, settings_model: str) -> _Choice:
    """The user's own file, named by its digest if that is known, else by FACE_MODEL, else `custom`."""
    try:
        digest = sha256(path)
    except OSError as error:
        raise ModelUnavailable(f"FACE_WEIGHTS={path} can't be read ({error.strerror}).") from error
    model = KNOWN_DIGESTS.get(digest, "custom" if settings_model == "auto" else settings_model)

    def make(folder: Path) -> None:
        require_converter()
        _convert(conversion.state_dict_of_file(path), folder, model, digest, f"FACE_WEIGHTS={path}")

    return _Choice(model, digest, f"from FACE_WEIGHTS={path}", make)


def _gallerys(kept: ModelContract, vggface2: PublishedWeights) -> _Choice:
    """The model that made the gallery's embeddings; one that isn't published must be in the models folder."""
    for source in (vggface2, CASIA_WEBFACE):
        if kept.digest == source.digest:
            return _published(source.model, "the gallery's", vggface2)

    def refuse(_: Path) -> None:
        raise ContractMismatch(
            f"The gallery was made with the model {kept.model} (sha256 {kept.digest[:16]}…), which is not in the "
            "models folder; set FACE_WEIGHTS to that file, or FACE_MODEL to another model and run "
            "`python -m indexer reembed`."
        )

    return _Choice(kept.model, kept.digest, "the gallery's", refuse)


def _published(model: str, reason: str, vggface2: PublishedWeights, probe: bool = False) -> _Choice:
    """A model that can be downloaded; with `probe`, only from a host that answers quickly."""

    def make_vggface2(folder: Path) -> None:
        require_converter()
        path = torch_checkpoint(vggface2, probe)
        _convert(conversion.state_dict_of_file(path), folder, model, vggface2.digest, str(path))

    def make_casia_webface(folder: Path) -> None:
        require_converter()
        graph = packaged_file(CASIA_WEBFACE)
        state_dict = conversion.state_dict_of_graph(graph)
        _convert(state_dict, folder, model, CASIA_WEBFACE.digest, CASIA_WEBFACE.origin)

    if model == vggface2.model:
        return _Choice(model, vggface2.digest, reason, make_vggface2)
    return _Choice(model, CASIA_WEBFACE.digest, reason, make_casia_webface)


def _convert(state_dict: conversion.StateDict, folder: Path, model: str, digest: str, origin: str) -> None:
    log.info("Converting %s for this machine; this is done once.", model)
    conversion.convert_facenet(state_dict, folder, {"model": model, "digest": digest, "origin": origin}, origin)


def _make_mtcnn(folder: Path) -> None:
    """Convert the detector's three networks; raises ModelUnavailable where their weights are not the published ones."""
    require_converter()
    weights = [package_folder("facenet_pytorch") / "data" / f"{net}.pt" for net in conversion.MTCNN_NETS]
    if hashlib.sha256(b"".join(each.read_bytes() for each in weights)).hexdigest() != MTCNN_DIGEST:
        raise ModelUnavailable(
            f"MTCNN's weights in {weights[0].parent} are not those published; {install_converter()}."
        )
    conversion.convert_mtcnn(folder)
