"""MTCNN's three networks in torch, over batches on the device: facenet-pytorch's arithmetic in float32.

PNet takes canvases, as conversion.py's does: it is told where a copy of the photo ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_MIDDLE, _SPREAD = 127.5, 128.0


def exact_float32() -> AbstractContextManager[None]:
    """Within it, convolutions on a GPU keep all digits of float32: with TF32's ten bits, boxes move."""
    import torch

    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False)


class Network:
    """The weights of one of the three networks; its layers by name."""

    def __init__(self, state: Mapping[str, Tensor], device: str) -> None:
        self._state = {name: each.float().to(device) for name, each in state.items()}

    def conv(self, name: str, x: Tensor) -> Tensor:
        """A convolution without padding."""
        from torch.nn.functional import conv2d

        return conv2d(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"])

    def dense(self, name: str, x: Tensor) -> Tensor:
        """A fully connected layer."""
        from torch.nn.functional import linear

        return linear(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"])

    def rectified(self, name: str, x: Tensor) -> Tensor:
        """PReLU, with a slope for each channel."""
        from torch.nn.functional import prelu

        return prelu(x, self._state[f"{name}.weight"])


def propose(pnet: Network, pixels: Tensor, beyond: Tensor) -> tuple[Tensor, Tensor]:
    """PNet on canvases (k, 3, h, w), 0 to 255: offsets (k, 4, down, across) and scores (k, down, across)."""
    x = pnet.conv("conv1", (pixels - _MIDDLE) / _SPREAD)
    x = _pooled(pnet.rectified("prelu1", x).add_(beyond), 2)
    x = pnet.rectified("prelu2", pnet.conv("conv2", x))
    x = pnet.rectified("prelu3", pnet.conv("conv3", x))
    return pnet.conv("conv4_2", x), pnet.conv("conv4_1", x).softmax(1)[:, 1]


def refine(rnet: Network, crops: Tensor) -> tuple[Tensor, Tensor]:
    """RNet on crops (n, 3, 24, 24), 0 to 255: offsets (n, 4) and scores (n,)."""
    x = (crops - _MIDDLE) / _SPREAD
    for i in (1, 2):
        x = _pooled(rnet.rectified(f"prelu{i}", rnet.conv(f"conv{i}", x)), 3)
    x = rnet.rectified("prelu3", rnet.conv("conv3", x))
    x = rnet.rectified("prelu4", rnet.dense("dense4", x.permute(0, 3, 2, 1).flatten(1)))
    return rnet.dense("dense5_2", x), rnet.dense("dense5_1", x).softmax(1)[:, 1]


def output(onet: Network, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ONet on crops (n, 3, 48, 48), 0 to 255: offsets (n, 4), landmarks (n, 10) and scores (n,)."""
    x = (crops - _MIDDLE) / _SPREAD
    for i, window in ((1, 3), (2, 3), (3, 2)):
        x = _pooled(onet.rectified(f"prelu{i}", onet.conv(f"conv{i}", x)), window)
    x = onet.rectified("prelu4", onet.conv("conv4", x))
    x = onet.rectified("prelu5", onet.dense("dense5", x.permute(0, 3, 2, 1).flatten(1)))
    return onet.dense("dense6_2", x), onet.dense("dense6_3", x), onet.dense("dense6_1", x).softmax(1)[:, 1]


def _pooled(x: Tensor, window: int) -> Tensor:
    from torch.nn.functional import max_pool2d

    return max_pool2d(x, window, stride=2, ceil_mode=True)
