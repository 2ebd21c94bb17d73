"""Imports OpenVINO without its telemetry, and facenet_pytorch beside whatever build of torch there is."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def import_openvino() -> ModuleType:
    """OpenVINO, without telemetry.

    When `openvino_telemetry` can be imported, importing openvino reports to Intel through Google Analytics unless the
    user has opted out. Marked as missing here, OpenVINO uses its own empty stand-in.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


def import_facenet() -> ModuleType:
    """facenet_pytorch, beside whatever build of torch there is.

    It imports torchvision, whose PyPI build for Linux needs CUDA: beside a CPU build of torch its compiled operators
    can't be loaded, and its Python half fails when it describes two of them. Declared without an implementation,
    those two are enough for the import; nothing here calls them.
    """
    import torch

    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # what the failed import left behind
        for operator in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", schema)
    return importlib.import_module("facenet_pytorch")
