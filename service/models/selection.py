"""Decides which weights the service uses and has their files ready.

The models folder (FACE_MODEL_DIR) holds the converted files, which folder and conversion describe:

    <model>-<digest>/facenet.xml, .bin, .safetensors    FaceNet; digest: first 16 digits of the source file's SHA-256
    <model>-<digest>-int8/facenet.xml, .bin             the same in int8, which int8 describes
    mtcnn-<digest>/{pnet,rnet,onet}.xml, .bin           the detector
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
from service.models.folder import Manifest, intact, ready, sha256, subfolder
from service.models.mtcnn_weights import require_mtcnn
from service.models.runtimes import require_converter
from service.settings import Settings
from service.values import ModelContract

log = logging.getLogger(__name__)

PREPROCESSING = 1
DIMENSION = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The engine's files (conversion describes their graphs) and the contract of the embeddings they give."""

    contract: ModelContract
    facenet: Path
    facenet_int8: Path  # not always there: see int8
    weights: Path
    pnet: Path
    rnet: Path
    onet: Path


def prepare(settings: Settings, kept: ModelContract | None, *, vggface2: PublishedWeights = VGGFACE2) -> ModelFiles:
    """Have the model's files ready in FACE_MODEL_DIR, fetching and converting what is missing, and log which it is.

    `kept` is the contract of the gallery that will be opened, None for a new one. The file in FACE_WEIGHTS is used
    whatever its model; then the model that FACE_MODEL names; `auto` takes the first that can be had: the gallery's
    model, vggface2 or casia-webface from the folder, vggface2 from torch's cache or its host, casia-webface.
    Raises ModelUnavailable when files can't be had or are damaged, ContractMismatch when a gallery's model is unknown.
    """
    models = settings.model_dir
    try:
        chosen, facenet = _first_available(_candidates(settings, kept, vggface2), models)
        mtcnn = _ready(models, conversion.MTCNN_FILES, _make_mtcnn, model="mtcnn", digest=MTCNN_DIGEST)
    except OSError as error:
        raise ModelUnavailable(f"Model files can't be kept in FACE_MODEL_DIR={models} ({error}).") from error
    return _files(chosen, facenet, mtcnn)


def at_hand(settings: Settings, kept: ModelContract | None, *, weights: bool) -> ModelFiles | None:
    """What `prepare` has ready without fetching or converting anything; None where it must.

    `weights` is whether those of torch are used, half of all bytes; else only the graphs are sure to be as they were
    made. Raises ModelUnavailable.
    """
    models = settings.model_dir
    chosen, *_ = _candidates(settings, kept, VGGFACE2)
    used = [each for each in conversion.FACENET_FILES if weights or not each.endswith(".safetensors")]
    if not (
        _intact(models, conversion.FACENET_FILES, model=chosen.model, digest=chosen.digest, used=used)
        and _intact(models, conversion.MTCNN_FILES, model="mtcnn", digest=MTCNN_DIGEST)
    ):
        return None
    facenet = subfolder(models, model=chosen.model, digest=chosen.digest)
    return _files(chosen, facenet, subfolder(models, model="mtcnn", digest=MTCNN_DIGEST))


def _files(chosen: _Candidate, facenet: Path, mtcnn: Path) -> ModelFiles:
    log.info("Model %s (sha256 %s), %s.", chosen.model, chosen.digest[:16], chosen.reason)
    return ModelFiles(
        contract=ModelContract(
            model=chosen.model, digest=chosen.digest, preprocessing=PREPROCESSING, dimension=DIMENSION
        ),
        facenet=facenet / "facenet.xml",
        facenet_int8=facenet.with_name(f"{facenet.name}-int8") / "facenet.xml",
        weights=facenet / "facenet.safetensors",
        pnet=mtcnn / "pnet.xml",
        rnet=mtcnn / "rnet.xml",
        onet=mtcnn / "onet.xml",
    )


def is_at_hand(settings: Settings, contract: ModelContract) -> bool:
    """Whether FACE_MODEL_DIR has the converted files of a contract's model, so that nothing is fetched or converted."""
    return _intact(settings.model_dir, conversion.FACENET_FILES, model=contract.model, digest=contract.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A model that would do, why it does, and what writes its files should they not be in the models folder."""

    model: str
    digest: str
    reason: str
    make: Callable[[Path], None]


def _candidates(settings: Settings, kept: ModelContract | None, vggface2: PublishedWeights) -> list[_Candidate]:
    """The models that would do, best first."""
    if settings.weights is not None:
        return [_users_own(settings.weights, settings.model)]
    published = {each.model: each for each in (vggface2, CASIA_WEBFACE)}
    if settings.model != "auto":
        return [_published(published[settings.model], "as FACE_MODEL says")]
    if kept is not None:
        return [_gallerys_own(kept, published.values())]
    converted, others = [], []
    for each in published.values():
        if subfolder(settings.model_dir, model=each.model, digest=each.digest).exists():
            converted.append(_published(each, "found in the models folder"))
        else:
            others.append(_published(each, "the best that can be had", probe=True))
    return converted + others


def _first_available(candidates: list[_Candidate], models: Path) -> tuple[_Candidate, Path]:
    """The first whose files are or can be made ready, and their folder; the last one's error passes through."""
    *others, last = candidates
    for each in others:
        try:
            return each, _facenet_ready(models, each)
        except ModelUnavailable as error:
            log.warning("%s", error)
    return last, _facenet_ready(models, last)


def _facenet_ready(models: Path, chosen: _Candidate) -> Path:
    return _ready(models, conversion.FACENET_FILES, chosen.make, model=chosen.model, digest=chosen.digest)


def _ready(models: Path, names: tuple[str, ...], make: Callable[[Path], None], *, model: str, digest: str) -> Path:
    return ready(subfolder(models, model=model, digest=digest), _manifest(model, digest), names, make)


def _intact(
    models: Path, names: tuple[str, ...], *, model: str, digest: str, used: Sequence[str] | None = None
) -> bool:
    return intact(subfolder(models, model=model, digest=digest), _manifest(model, digest), names, used=used)


def _manifest(model: str, digest: str) -> Manifest:
    return {"model": model, "digest": digest, "version": conversion.CONVERSION}


def _users_own(path: Path, model_setting: str) -> _Candidate:
    """The file in FACE_WEIGHTS, named by its digest if that is known, else by FACE_MODEL, else `custom`."""
    try:
        digest = sha256(path)
    except OSError as error:
        raise ModelUnavailable(f"FACE_WEIGHTS={path} can't be read ({error.strerror}).") from error
    model = KNOWN_DIGESTS.get(digest, "custom" if model_setting == "auto" else model_setting)
    origin = f"FACE_WEIGHTS={path}"

    def make(folder: Path) -> None:
        require_converter()
        _convert(conversion.state_dict_of_file(path), folder, model=model, digest=digest, origin=origin)

    return _Candidate(model=model, digest=digest, reason=f"from {origin}", make=make)


def _gallerys_own(kept: ModelContract, published: Iterable[PublishedWeights]) -> _Candidate:
    """The model that made the gallery's embeddings; one that isn't published must be in the models folder."""
    for each in published:
        if kept.digest == each.digest:
            return _published(each, "the gallery's")

    def refuse(_: Path) -> None:
        raise ContractMismatch(
            f"The gallery was made with the model {kept.model} (sha256 {kept.digest[:16]}…), which is not in the "
            "models folder; set FACE_WEIGHTS to that file, or FACE_MODEL to another model and run "
            "`python -m indexer reembed`."
        )

    return _Candidate(model=kept.model, digest=kept.digest, reason="the gallery's", make=refuse)


def _published(weights: PublishedWeights, reason: str, *, probe: bool = False) -> _Candidate:
    """A model that can be downloaded; with `probe`, only from a host that answers quickly."""

    def make(folder: Path) -> None:
        require_converter()
        if weights == CASIA_WEBFACE:
            origin, state_dict = weights.origin, conversion.state_dict_of_graph(packaged_file(weights))
        else:
            path = torch_checkpoint(weights, probe=probe)
            origin, state_dict = str(path), conversion.state_dict_of_file(path)
        _convert(state_dict, folder, model=weights.model, digest=weights.digest, origin=origin)

    return _Candidate(model=weights.model, digest=weights.digest, reason=reason, make=make)


def _convert(state_dict: conversion.StateDict, folder: Path, *, model: str, digest: str, origin: str) -> None:
    log.info("Converting %s for this machine; this is done once.", model)
    conversion.convert_facenet(state_dict, folder, {"model": model, "digest": digest, "origin": origin}, origin=origin)


def _make_mtcnn(folder: Path) -> None:
    """Convert the detector's three networks; raises ModelUnavailable where their weights are not the published ones."""
    require_converter()
    require_mtcnn()
    conversion.convert_mtcnn(folder)
