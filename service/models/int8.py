"""Decides whether FaceNet runs in int8, and has its int8 graph ready: calibrated here, or made of published ranges."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from service.errors import ModelUnavailable
from service.models.conversion import CONVERSION
from service.models.folder import intact, ready, remake
from service.models.int8_graph import INT8_VERSION, write_int8_graph
from service.models.int8_ranges import published_ranges
from service.models.runtimes import multiplies_int8
from service.models.selection import ModelFiles

log = logging.getLogger(__name__)

_FILES = ("facenet.xml", "facenet.bin")


def facenet_graph(files: ModelFiles, precision: str) -> tuple[Path, str]:
    """The graph to run for FACE_PRECISION (auto, f32, bf16, int8), and the precision of what in it is float.

    `auto` is int8 on processors that multiply such integers quickly, where the model's ranges are known and its int8
    graph is or can be kept. Raises ModelUnavailable for `int8` where there is no such graph.
    """
    if precision == "int8":
        return int8_graph(files), "auto"
    if precision == "auto" and multiplies_int8() and has_int8(files):
        try:
            graph = int8_graph(files)
        except ModelUnavailable as error:
            log.warning("FaceNet runs in float. %s", error)
        else:
            log.info("FaceNet runs in int8; FACE_PRECISION=bf16 or f32 would run it in float.")
            return graph, "auto"
    return files.facenet, precision


def has_int8(files: ModelFiles) -> bool:
    """Whether the model's int8 graph was calibrated here or can be made without photos."""
    return _calibrated_here(files) or published_ranges(files.contract.digest) is not None


def int8_graph(files: ModelFiles) -> Path:
    """The model's int8 graph: the one that was calibrated here, else made of the published ranges where it isn't yet.

    Raises ModelUnavailable where neither can be had.
    """
    if _calibrated_here(files):
        return files.facenet_int8
    ranges = published_ranges(files.contract.digest)
    if ranges is None:
        fault = "is damaged or of an older version" if files.facenet_int8.exists() else "was not made yet"
        raise ModelUnavailable(
            f"The int8 model of {files.contract.model} {fault}; `python -m service quantize PHOTOS` makes it."
        )

    def make(folder: Path) -> None:
        write_int8_graph(files.facenet, ranges, folder / files.facenet_int8.name)

    made_of = {"ranges": dict(ranges), "int8": INT8_VERSION, "conversion": CONVERSION}
    try:
        ready(files.facenet_int8.parent, _manifest(files) | made_of, _FILES, make)
    except OSError as error:
        raise cannot_be_kept(files, error) from error
    return files.facenet_int8


def keep_int8_graph(files: ModelFiles, make: Callable[[Path], None]) -> None:
    """Replace the model's int8 graph by the .xml and .bin that `make(folder)` writes; what it raises passes through."""
    remake(files.facenet_int8.parent, _manifest(files), _FILES, make)


def cannot_be_kept(files: ModelFiles, error: OSError) -> ModelUnavailable:
    """What to raise where the models folder can't be written."""
    return ModelUnavailable(f"The int8 model can't be kept in {files.facenet_int8.parent} ({error}).")


def _calibrated_here(files: ModelFiles) -> bool:
    return intact(files.facenet_int8.parent, _manifest(files), _FILES)


def _manifest(files: ModelFiles) -> dict[str, object]:
    """Without the version of the conversion: a newer detector is no reason to gather photos again."""
    return {**asdict(files.contract), "precision": "int8"}
