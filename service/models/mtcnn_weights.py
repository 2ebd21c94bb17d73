"""The weights of MTCNN's three networks, as facenet-pytorch's package carries them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import ModelUnavailable
from service.models.conversion import MTCNN_NETS
from service.models.downloads import MTCNN_DIGEST
from service.models.runtimes import install_converter, package_folder

if TYPE_CHECKING:
    import torch


def require_mtcnn() -> list[Path]:
    """The three files; raises ModelUnavailable where they are missing or not the published ones."""
    weights = [package_folder("facenet_pytorch") / "data" / f"{net}.pt" for net in MTCNN_NETS]
    if hashlib.sha256(b"".join(each.read_bytes() for each in weights)).hexdigest() != MTCNN_DIGEST:
        raise ModelUnavailable(
            f"MTCNN's weights in {weights[0].parent} are damaged or of another version; {install_converter()}."
        )
    return weights


def mtcnn_state_dicts() -> dict[str, dict[str, torch.Tensor]]:
    """Float32 tensors by the name of their network (pnet, rnet, onet); raises what require_mtcnn raises."""
    import torch

    files = zip(MTCNN_NETS, require_mtcnn(), strict=True)
    return {net: torch.load(path, map_location="cpu", weights_only=True) for net, path in files}
