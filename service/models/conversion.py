"""Turns weights into what the engine runs: OpenVINO graphs with the normalisation inside, and a safetensors state_dict.

torch, facenet_pytorch and openvino are imported only when a function needs them: a service whose graphs are already
converted starts without torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import ModelUnavailable
from service.models.runtimes import import_facenet, import_openvino

if TYPE_CHECKING:
    import torch

StateDict = dict[str, "torch.Tensor"]

CONVERSION = 5
"""Counts the versions of the files below; graphs of an older version are made anew."""

FACENET_FILES = ("facenet.xml", "facenet.bin", "facenet.safetensors")
MTCNN_NETS = ("pnet", "rnet", "onet")
MTCNN_FILES = tuple(f"{net}.{end}" for net in MTCNN_NETS for end in ("xml", "bin"))

BEYOND = -1e9
"""What a place in PNet's first layer is lowered by where it sees more than one copy of the photo, or none."""

_MIDDLE, _SPREAD = 127.5, 128.0  # pixels become (x - 127.5) / 128 before every one of the four networks


def state_dict_of_graph(graph: bytes) -> StateDict:
    """The state_dict in a frozen TensorFlow graph of FaceNet, float32."""
    import torch

    from service.models.tensorflow_graph import facenet_arrays

    return {name: torch.from_numpy(array) for name, array in facenet_arrays(graph).items()}


def state_dict_of_file(path: Path) -> StateDict:
    """Read a state_dict saved by torch, or as .safetensors, or the .pb that casia-webface comes in.

    Code in a pickle is refused, never run. Raises ModelUnavailable when the file holds anything but named tensors.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".pb":
            return state_dict_of_graph(path.read_bytes())
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated or hostile bytes make torch raise nearly anything
        raise ModelUnavailable(
            f"{path} is damaged or not a plain state_dict; set FACE_WEIGHTS to a whole one, or leave it unset."
        ) from error
    if isinstance(loaded, Mapping) and all(isinstance(each, torch.Tensor) for each in loaded.values()):
        return dict(loaded)
    raise ModelUnavailable(f"{path} holds no state_dict; set FACE_WEIGHTS to a state_dict of InceptionResnetV1.")


def convert_facenet(state_dict: StateDict, folder: Path, metadata: dict[str, str], *, origin: str) -> None:
    """Write FACENET_FILES into `folder`.

    facenet.xml takes `crops`, uint8 [?, 160, 160, 3] RGB, and gives `embeddings`, float32 [?, 512] of length 1. Its
    weights are float16, for 45 MB less memory; that moves embeddings by less than 2e-6 in cosine.
    facenet.safetensors keeps the precision of `state_dict` (float32 or float16). Raises ModelUnavailable, naming
    `origin`, when the tensors don't fit InceptionResnetV1 or are not finite.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {name: each.detach().clone() for name, each in state_dict.items() if not name.startswith("logits.")}
    facenet = import_facenet().InceptionResnetV1(pretrained=None)
    counters = {name: each for name, each in facenet.state_dict().items() if name.endswith("num_batches_tracked")}
    tensors = counters | tensors
    try:
        facenet.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelUnavailable(
            f"{origin} is no state_dict of InceptionResnetV1; set FACE_WEIGHTS to one, or leave it unset."
        ) from error
    if not all(bool(each.isfinite().all()) for each in tensors.values()):
        raise ModelUnavailable(f"{origin} holds weights that are not finite; set FACE_WEIGHTS to a sound file.")

    crops = torch.zeros(2, 160, 160, 3, dtype=torch.uint8)
    _save_graph(facenet, (crops,), folder / "facenet.xml", inputs=["crops"], outputs=["embeddings"], halve=True)
    safetensors = folder / "facenet.safetensors"
    save_file({name: each.contiguous() for name, each in tensors.items()}, safetensors, metadata)
    safetensors.chmod(0o644)  # save_file allows the owner alone; the service may run as another user than the set-up


def convert_mtcnn(folder: Path) -> None:
    """Write MTCNN_FILES into `folder`: facenet-pytorch's three networks with the weights that ship with it.

    pnet.xml  `canvas`  float32 [1, H, W, 3], `beyond`  float32 [1, 1, H - 2, W - 2]
                                                 → `boxes` [1, 4, h, w], `scores` [1, h, w]
    rnet.xml  `crops`   float32 [?, 24, 24, 3]   → `boxes` [?, 4], `scores` [?]
    onet.xml  `crops`   float32 [?, 48, 48, 3]   → `boxes` [?, 4], `landmarks` [?, 10], `scores` [?]

    Pixels are RGB from 0 to 255, averaged over areas and not rounded, hence float32: rounded, boxes move by 1 %.
    `beyond` is BEYOND or 0: with it, several copies of a photo on one canvas are seen as each alone.
    `boxes` are offsets and `landmarks` five x, then five y, as facenet_pytorch's detect_face reads them; `scores` the
    probability of a face.
    """
    import torch

    nets = import_facenet().models.mtcnn
    canvas = torch.zeros(1, 64, 48, 3), torch.zeros(1, 1, 62, 46)
    pnet, rnet, onet = _ending_where_the_photo_ends(nets.PNet()), nets.RNet(), nets.ONet()
    small, large = (torch.zeros(2, 24, 24, 3),), (torch.zeros(2, 48, 48, 3),)
    _save_graph(pnet, canvas, folder / "pnet.xml", inputs=["canvas", "beyond"], outputs=["boxes", "scores"])
    _save_graph(rnet, small, folder / "rnet.xml", inputs=["crops"], outputs=["boxes", "scores"])
    _save_graph(onet, large, folder / "onet.xml", inputs=["crops"], outputs=["boxes", "landmarks", "scores"])


def _ending_where_the_photo_ends(pnet: Any) -> torch.nn.Module:
    """PNet that is told where a copy of the photo ends.

    It pools 2×2 after its first layer, and at the edge of an odd size what is left of the last 2×2. With other pixels
    behind that edge it would pool those too, and see faces at the rim elsewhere.
    """
    import torch

    class Ending(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pnet = pnet

        def forward(self, x: torch.Tensor, beyond: torch.Tensor) -> Any:
            first = pnet.prelu1(pnet.conv1(x)) + beyond
            last = pnet.prelu3(pnet.conv3(pnet.prelu2(pnet.conv2(pnet.pool1(first)))))
            return pnet.conv4_2(last), pnet.softmax4_1(pnet.conv4_1(last))

    return Ending()


def _save_graph(
    net: Any,
    examples: tuple[torch.Tensor, ...],
    path: Path,
    *,
    inputs: list[str],
    outputs: list[str],
    halve: bool = False,
) -> None:
    """Trace `net` behind the normalisation of its first input and save it as an OpenVINO graph with named ports.

    With `halve`, its weights are kept as float16. The sizes that differ from call to call are left open: those of a
    canvas, else the batch.
    """
    import torch

    class FromPixels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor, *more: torch.Tensor) -> Any:  # [N, height, width, 3], 0 to 255
            result = self.net((x.permute(0, 3, 1, 2).float() - _MIDDLE) / _SPREAD, *more)
            if "scores" not in outputs:
                return result
            *rest, probabilities = result  # [N, 2, ...]: not a face, a face
            return *rest, probabilities[:, 1]

    openvino = import_openvino()
    shapes = [[1, -1, -1, 3], [1, 1, -1, -1]] if "canvas" in inputs else [[-1, *examples[0].shape[1:]]]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)  # OpenVINO's converter is built on it
        trace: Any = torch.jit.trace  # without types
        traced = trace(FromPixels().eval(), examples, check_trace=False)  # the check doubles the time
        graph = openvino.convert_model(traced, example_input=examples, input=shapes)
    for port, name in zip([*graph.inputs, *graph.outputs], [*inputs, *outputs], strict=True):
        port.get_tensor().set_names({name})
    openvino.save_model(graph, path, compress_to_fp16=halve)
