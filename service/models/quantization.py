"""Makes FaceNet's int8 graph from its float32 one and crops of faces, by NNCF's post-training quantization."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from service.errors import ModelUnavailable
from service.extras import install_command
from service.models.runtimes import import_openvino
from service.models.selection import ModelFiles, keep_int8_graph


def import_nncf() -> ModuleType:
    """NNCF, without the telemetry that it and OpenVINO would send. Raises ModelUnavailable where it isn't installed."""
    if find_spec("nncf") is None:
        raise ModelUnavailable(
            f"Quantization needs the package nncf; install it with `{install_command('int8')}`, or build the image "
            "with `--build-arg EXTRAS=int8`."
        )
    import_openvino()  # first: it marks openvino_telemetry as missing, upon which NNCF too uses an empty stand-in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        nncf = importlib.import_module("nncf")
    nncf.set_log_level(logging.ERROR)
    return nncf


def quantize(nncf: ModuleType, files: ModelFiles, crops: NDArray[np.uint8], check: Callable[[Path], None]) -> None:
    """Replace the model's int8 graph by one calibrated on `crops`, (n, 160, 160, 3) RGB, n ≥ 1.

    `check` is given the new graph's file, and raises where it is not to be kept; what was there before then stays.
    Raises ModelUnavailable where the graph can't be written.
    """
    openvino = import_openvino()
    graph = nncf.quantize(
        openvino.Core().read_model(files.facenet),
        nncf.Dataset([crop[None] for crop in crops]),
        preset=nncf.QuantizationPreset.MIXED,  # activations asymmetric: most follow a ReLU
        subset_size=len(crops),
    )

    def make(folder: Path) -> None:
        path = folder / files.facenet_int8.name
        openvino.save_model(graph, path, compress_to_fp16=False)
        check(path)

    try:
        keep_int8_graph(files, make)
    except OSError as error:
        raise ModelUnavailable(f"The int8 model can't be kept in {files.facenet_int8.parent} ({error}).") from error
