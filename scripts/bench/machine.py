"""Which machine and which packages a measurement was made with; a number without them means little."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from service.processors import usable_processors

_PACKAGES = ("openvino", "torch", "facenet-pytorch", "numpy", "opencv-python-headless", "pillow", "qdrant-edge-py")
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def machine() -> str:
    """Processor, cores, memory and operating system in one line."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = usable_processors()
    model, flags = _processor()
    extensions = ", ".join(flag for flag in _TELLING_FLAGS if flag in flags) or "no vector extensions named"
    return f"{model} ({extensions}), {cores} cores, {gigabytes:.1f} GiB of memory, {platform.platform(terse=True)}"


def packages() -> str:
    """Python and the packages that do this project's work, with versions."""
    versions = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def load() -> float:
    """Processes that ran or waited on average over the last minute: more than a few tenths before a run disturb it."""
    return os.getloadavg()[0]


def _processor() -> tuple[str, set[str]]:
    """The processor's name and its flags, as Linux tells them."""
    described = Path("/proc/cpuinfo")
    if not described.exists():
        return platform.processor() or platform.machine(), set()
    lines = described.read_text(encoding="utf-8").splitlines()
    entries = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return entries.get("model name", platform.machine()), set(entries.get("flags", "").split())
