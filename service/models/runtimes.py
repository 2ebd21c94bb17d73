"""Imports OpenVINO without its telemetry, and facenet_pytorch beside whatever build of torch there is."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from service.errors import ModelUnavailable
from service.extras import install_command

_CONVERTER = ("torch", "torchvision", "safetensors", "requests", "facenet_pytorch")
_INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "amx_int8"}  # as Linux names them


def import_openvino() -> ModuleType:
    """OpenVINO, without telemetry.

    When `openvino_telemetry` can be imported, importing openvino reports to Intel through Google Analytics unless the
    user has opted out. Marked as missing here, OpenVINO uses its own empty stand-in.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


def openvino_version() -> str:
    """Of the package, which is not imported for it."""
    return version("openvino")


def has_bf16() -> bool:
    """Whether the processor computes in bfloat16, which OpenVINO then does where a precision isn't set."""
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def multiplies_int8(processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for int8 (VNNI, AMX); without them int8 is no faster than float32.

    `processor` is Linux's description of it. Elsewhere nobody knows, which counts as no.
    """
    try:
        text = processor.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return not _INT8_INSTRUCTIONS.isdisjoint(flags)


def require_converter() -> None:
    """Raise ModelUnavailable where a package that conversion needs isn't installed; none is imported for it."""
    for package in _CONVERTER:
        if find_spec(package) is None:
            raise ModelUnavailable(
                f"Converting a model needs the package {package}; {install_converter()}, or set FACE_MODEL_DIR to a "
                "folder of converted models."
            )


def install_converter() -> str:
    """How to install what conversion needs. No extra could ask for facenet-pytorch, whose own pins are too old."""
    without_pins = f"{sys.executable} -m pip install --no-deps facenet-pytorch"
    return f"install it with `{install_command('torch')} && {without_pins}`"


def package_folder(package: str) -> Path:
    """Where an installed package lies, which is not imported for it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelUnavailable(f"The package {package} is not installed; {install_converter()}.")
    return Path(spec.origin).parent


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
