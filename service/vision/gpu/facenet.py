"""InceptionResnetV1 in torch for inference: normalisations folded into the convolutions, in one precision.

Each convolution is one step with its bias and ReLU, and each residual block ends with one that adds as well, where
cuDNN has such steps: a third of the memory traffic that the network takes layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_EPSILON = 0.001
"""Of the batch normalisations, as in TensorFlow."""
_MIDDLE, _SPREAD = 127.5, 128.0

_Pair = tuple[int, int]


class FaceNet:
    """Crops to embeddings on a device; holds no state but the weights."""

    def __init__(self, weights: Path, device: str, dtype: torch.dtype) -> None:
        """Read a safetensors state_dict of facenet-pytorch's InceptionResnetV1."""
        from safetensors.torch import load_file

        state = {name: each.double() for name, each in load_file(weights).items() if each.is_floating_point()}
        self._layers = {
            name: (_channels_last(weight.to(device, dtype)), bias.to(device, dtype))
            for name, (weight, bias) in _folded(state).items()
        }
        self._dtype = dtype
        self._fused = device != "cpu"

    def __call__(self, crops: Tensor) -> Tensor:
        """Crops (n, 160, 160, 3), uint8, on the device, to embeddings (n, 512), float32, each of length 1."""
        from torch.nn.functional import linear, max_pool2d, normalize

        x = (crops.permute(0, 3, 1, 2).to(self._dtype) - _MIDDLE) / _SPREAD  # (n, 3, 160, 160), channels last
        x = self._conv("conv2d_1a", x, stride=2)
        x = self._conv("conv2d_2a", x)
        x = self._conv("conv2d_2b", x, padding=(1, 1))
        x = max_pool2d(x, 3, stride=2)
        x = self._conv("conv2d_3b", x)
        x = self._conv("conv2d_4a", x)
        x = self._conv("conv2d_4b", x, stride=2)  # (n, 256, 17, 17)
        for i in range(5):
            x = self._block35(f"repeat_1.{i}", x)
        x = self._mixed_6a(x)  # (n, 896, 8, 8)
        for i in range(10):
            x = self._block(f"repeat_2.{i}", x, ((1, 7), (7, 1)))
        x = self._mixed_7a(x)  # (n, 1792, 3, 3)
        for i in range(5):
            x = self._block(f"repeat_3.{i}", x, ((1, 3), (3, 1)))
        x = self._block("block8", x, ((1, 3), (3, 1)), rectify=False)
        return normalize(linear(x.float().mean((2, 3)).to(self._dtype), *self._layers["last"]).float())

    def _conv(self, name: str, x: Tensor, stride: int = 1, padding: _Pair = (0, 0)) -> Tensor:
        """A convolution with its bias and ReLU."""
        import torch

        weight, bias = self._layers[name]
        if self._fused:
            return torch.cudnn_convolution_relu(x, weight, bias, (stride, stride), padding, (1, 1), 1)
        return torch.nn.functional.conv2d(x, weight, bias, stride, padding).relu_()

    def _joined(self, name: str, x: Tensor, branches: list[Tensor], *, rectify: bool = True) -> Tensor:
        """A residual block's end: x and what a convolution makes of the branches, scaled, added."""
        import torch

        weight, bias = self._layers[name]
        joined = torch.cat(branches, 1)
        if self._fused and rectify:
            return torch.cudnn_convolution_add_relu(joined, weight, x, 1.0, bias, (1, 1), (0, 0), (1, 1), 1)
        added = torch.nn.functional.conv2d(joined, weight, bias).add_(x)
        return added.relu_() if rectify else added

    def _block35(self, name: str, x: Tensor) -> Tensor:
        b1 = self._conv(f"{name}.branch1.0", x)
        b2 = self._conv(f"{name}.branch2.1", self._conv(f"{name}.branch2.0", x), padding=(1, 1))
        branches = [
            self._conv(f"{name}.branch0", x),
            self._conv(f"{name}.branch1.1", b1, padding=(1, 1)),
            self._conv(f"{name}.branch2.2", b2, padding=(1, 1)),
        ]
        return self._joined(f"{name}.conv2d", x, branches)

    def _block(self, name: str, x: Tensor, kernels: tuple[_Pair, _Pair], *, rectify: bool = True) -> Tensor:
        """One of two branches: the second is two narrow convolutions, along the rows and along the columns."""
        b1 = self._conv(f"{name}.branch1.0", x)
        for i, (down, across) in enumerate(kernels, start=1):
            b1 = self._conv(f"{name}.branch1.{i}", b1, padding=(down // 2, across // 2))
        return self._joined(f"{name}.conv2d", x, [self._conv(f"{name}.branch0", x), b1], rectify=rectify)

    def _mixed_6a(self, x: Tensor) -> Tensor:
        import torch

        b1 = self._conv("mixed_6a.branch1.1", self._conv("mixed_6a.branch1.0", x), padding=(1, 1))
        branches = [
            self._conv("mixed_6a.branch0", x, stride=2),
            self._conv("mixed_6a.branch1.2", b1, stride=2),
            torch.nn.functional.max_pool2d(x, 3, stride=2),
        ]
        return torch.cat(branches, 1)

    def _mixed_7a(self, x: Tensor) -> Tensor:
        import torch

        b2 = self._conv("mixed_7a.branch2.1", self._conv("mixed_7a.branch2.0", x), padding=(1, 1))
        branches = [
            self._conv("mixed_7a.branch0.1", self._conv("mixed_7a.branch0.0", x), stride=2),
            self._conv("mixed_7a.branch1.1", self._conv("mixed_7a.branch1.0", x), stride=2),
            self._conv("mixed_7a.branch2.2", b2, stride=2),
            torch.nn.functional.max_pool2d(x, 3, stride=2),
        ]
        return torch.cat(branches, 1)


def _channels_last(weight: Tensor) -> Tensor:
    """The same numbers in the order in which a GPU's matrix units take them; a matrix as it is."""
    import torch

    is_kernel = weight.dim() == len(("out", "in", "down", "across"))
    return weight.contiguous(memory_format=torch.channels_last) if is_kernel else weight


def _folded(state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Weight and bias of each layer, by its name: those of a convolution with what follows it, in float64."""
    layers = {}
    for key, weight in state.items():
        name, _, part = key.rpartition(".conv.")
        if part == "weight":
            factor, bias = _normalisation(state, f"{name}.bn")
            layers[name] = weight * factor[:, None, None, None], bias
    for name, scale in _residual_scales():
        layers[name] = state[f"{name}.weight"] * scale, state[f"{name}.bias"] * scale
    factor, bias = _normalisation(state, "last_bn")
    layers["last"] = state["last_linear.weight"] * factor[:, None], bias
    return layers


def _normalisation(state: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """What a batch normalisation multiplies by and adds, (channels,) each."""
    factor = state[f"{name}.weight"] / (state[f"{name}.running_var"] + _EPSILON).sqrt()
    return factor, state[f"{name}.bias"] - state[f"{name}.running_mean"] * factor


def _residual_scales() -> list[tuple[str, float]]:
    """The convolutions that end residual blocks, and by how much their answer is scaled."""
    repeats = [("repeat_1", 5, 0.17), ("repeat_2", 10, 0.1), ("repeat_3", 5, 0.2)]
    inner = [(f"{name}.{i}.conv2d", scale) for name, count, scale in repeats for i in range(count)]
    return [*inner, ("block8.conv2d", 1.0)]
