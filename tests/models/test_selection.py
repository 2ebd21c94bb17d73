"""Which model is used, where its files come from, and that the converted ones compute what the originals do."""

from __future__ import annotations

import http.server
import json
import logging
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import ContractMismatch, ModelUnavailable
from service.models import downloads, mtcnn_weights, selection
from service.models import folder as model_folder
from service.models.downloads import CASIA_WEBFACE, VGGFACE2, PublishedWeights
from service.models.runtimes import import_facenet, import_openvino
from service.models.selection import ModelFiles
from service.settings import Settings
from service.values import ModelContract

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
SHARED_WEIGHTS = ROOT.parent / "shared" / "models" / "facenet-vggface2-fp16.pt"


@pytest.fixture(scope="module")
def casia() -> ModelFiles:
    return selection.prepare(Settings(model="casia-webface", model_dir=MODELS), kept=None)


@pytest.fixture(scope="module")
def custom(casia: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """Weights that nobody publishes, given as FACE_WEIGHTS."""
    return selection.prepare(Settings(weights=casia.weights, model_dir=tmp_path_factory.mktemp("custom")), kept=None)


@pytest.fixture
def folder(casia: ModelFiles, tmp_path: Path) -> Path:
    """A models folder that holds casia-webface and no detector."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / casia.facenet.parent.name).symlink_to(casia.facenet.parent)
    return folder


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedWeights:
    """vggface2 at a port where nobody listens, with an empty torch cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return replace(VGGFACE2, origin="http://127.0.0.1:1/vggface2.pt")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a local server publishes it."""
    published = tmp_path / "published"
    published.mkdir()

    def handler(*arguments: Any) -> QuietHandler:
        return QuietHandler(*arguments, directory=str(published))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield published, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def crops(count: int, side: int = 160) -> NDArray[np.uint8]:
    """Blotches of random colours, [count, side, side, 3]: unlike noise, they differ in what the networks look at."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, side // 8, side // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def run_graph(path: Path, *inputs: NDArray[Any]) -> Any:
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # bf16 is the processor's choice otherwise
    return import_openvino().Core().compile_model(path, "CPU", exact)(list(inputs))


def torch_embeddings(weights: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    import torch
    from safetensors.torch import load_file

    facenet = import_facenet().InceptionResnetV1(pretrained=None).eval()
    facenet.load_state_dict(load_file(weights))
    with torch.no_grad():
        embeddings = facenet((torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.5) / 128)
    return np.asarray(embeddings.numpy(), dtype=np.float32)


# Conversion


@pytest.mark.torch
def test_casia_webface_computes_what_its_tensorflow_graph_computes(
    casia: ModelFiles, casia_graph: bytes, tmp_path: Path
) -> None:
    """The graph run as it is, the torch module and the OpenVINO graph give the same embeddings."""
    graph = tmp_path / "graph.pb"
    graph.write_bytes(casia_graph)
    pixels = crops(3)
    normalised = (pixels.astype(np.float32) - 127.5) / 128
    original = np.concatenate([run_graph(graph, each[None])[0] for each in normalised])  # it takes one at a time
    assert (original @ original.T)[0, 1] < 0.99, "the crops are too alike to tell anything"

    converted = run_graph(casia.facenet, pixels)["embeddings"]
    assert (converted * original).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (torch_embeddings(casia.weights, pixels) * original).sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("net", "shape", "outputs"),
    [
        ("PNet", (1, 97, 133, 3), ["boxes", "scores"]),
        ("RNet", (5, 24, 24, 3), ["boxes", "scores"]),
        ("ONet", (3, 48, 48, 3), ["boxes", "landmarks", "scores"]),
    ],
)
def test_detector_graphs_compute_what_facenet_pytorch_computes(
    casia: ModelFiles, net: str, shape: tuple[int, ...], outputs: list[str]
) -> None:
    """Outputs have the promised names, and `scores` is the probability of a face alone."""
    import torch

    pixels = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    all_inside = [np.zeros((1, 1, shape[1] - 2, shape[2] - 2), np.float32)] if net == "PNet" else []
    graph = run_graph(getattr(casia, net.lower()), pixels, *all_inside)
    module = getattr(import_facenet().models.mtcnn, net)()
    with torch.no_grad():
        *expected, probabilities = module((torch.from_numpy(pixels).permute(0, 3, 1, 2) - 127.5) * 0.0078125)
    for name, tensor in zip(outputs, [*expected, probabilities[:, 1]], strict=True):
        np.testing.assert_allclose(graph[name], tensor.numpy(), atol=1e-5)


@pytest.mark.torch
def test_a_half_precision_file_is_known_by_its_digest() -> None:
    """The float16 file keeps its precision on the disk and is vggface2 whatever its name."""
    if not SHARED_WEIGHTS.exists():
        pytest.skip(f"needs the folder ../shared with {SHARED_WEIGHTS.name}")
    files = selection.prepare(Settings(weights=SHARED_WEIGHTS, model_dir=MODELS), kept=None)
    assert files.contract.model == "vggface2"
    assert files.weights.stat().st_size < 50e6
    pixels = crops(2)
    converted = run_graph(files.facenet, pixels)["embeddings"]
    assert (converted * torch_embeddings(files.weights, pixels)).sum(axis=1) == pytest.approx(1, abs=1e-5)


# FACE_WEIGHTS


class Code:
    """Unpickled without care, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def write_missing(path: Path, _: ModelFiles) -> None:
    pass


def write_a_folder(path: Path, _: ModelFiles) -> None:
    path.mkdir()


def write_truncated(path: Path, casia: ModelFiles) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(casia.weights), path)
    os.truncate(path, path.stat().st_size // 2)


def write_code(path: Path, _: ModelFiles) -> None:
    path.write_bytes(pickle.dumps(Code(path.with_name("code-ran"))))


def write_another_network(path: Path, _: ModelFiles) -> None:
    import torch

    torch.save(torch.nn.Linear(2, 3).state_dict(), path)


def write_no_tensors(path: Path, _: ModelFiles) -> None:
    import torch

    torch.save([1, 2, 3], path)


def write_not_finite(path: Path, casia: ModelFiles) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(casia.weights)
    tensors["last_linear.weight"][0, 0] = float("nan")
    torch.save(tensors, path)


@pytest.mark.torch
@pytest.mark.parametrize(
    "write",
    [
        write_missing,
        write_a_folder,
        write_truncated,
        write_code,
        write_another_network,
        write_no_tensors,
        write_not_finite,
    ],
)
def test_unusable_weights_are_refused_by_a_sentence_that_names_the_setting(
    casia: ModelFiles, tmp_path: Path, write: Any
) -> None:
    """Whatever is wrong with the file: nothing in it is run, and nothing half-made stays."""
    path = tmp_path / "weights.pt"
    write(path, casia)
    with pytest.raises(ModelUnavailable, match="FACE_WEIGHTS"):
        selection.prepare(Settings(weights=path, model_dir=tmp_path / "models"), kept=None)
    assert not (tmp_path / "code-ran").exists()
    assert not [each for each in (tmp_path / "models").glob("*") if each.name != ".lock"]


@pytest.mark.torch
@pytest.mark.parametrize("end", [".safetensors", ".pb"])
def test_a_damaged_file_of_another_format_is_refused_as_well(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"weights{end}"
    path.write_bytes(b"\x0anot weights")
    with pytest.raises(ModelUnavailable, match="FACE_WEIGHTS"):
        selection.prepare(Settings(weights=path, model_dir=tmp_path / "models"), kept=None)


@pytest.mark.torch
def test_unknown_weights_are_named_custom_or_as_face_model_says(custom: ModelFiles, casia: ModelFiles) -> None:
    assert custom.contract.model == "custom"
    assert custom.contract.digest == model_folder.sha256(casia.weights)
    named = selection._users_own(casia.weights, "vggface2")
    assert named.model == "vggface2"


# Which model


@pytest.mark.torch
def test_auto_keeps_the_gallerys_model(casia: ModelFiles, folder: Path, unreachable: PublishedWeights) -> None:
    assert (
        selection.prepare(Settings(model_dir=folder), casia.contract, vggface2=unreachable).contract == casia.contract
    )


@pytest.mark.torch
def test_auto_keeps_a_gallerys_own_weights_from_the_models_folder(custom: ModelFiles) -> None:
    """Once converted, FACE_WEIGHTS need not be set for ever."""
    assert selection.prepare(Settings(model_dir=custom.facenet.parents[1]), custom.contract) == custom


def test_auto_refuses_a_gallery_whose_model_is_nowhere(folder: Path) -> None:
    kept = ModelContract(model="custom", digest="0" * 64, preprocessing=1, dimension=512)
    with pytest.raises(ContractMismatch, match=r"custom.*FACE_WEIGHTS"):
        selection.prepare(Settings(model_dir=folder), kept)


@pytest.mark.torch
def test_auto_does_not_replace_the_gallerys_model_when_it_is_out_of_reach(
    folder: Path, unreachable: PublishedWeights
) -> None:
    """casia-webface is at hand, but its embeddings mean nothing to this gallery."""
    kept = ModelContract(model="vggface2", digest=VGGFACE2.digest, preprocessing=1, dimension=512)
    with pytest.raises(ModelUnavailable, match=r"vggface2.*127\.0\.0\.1.*FACE_WEIGHTS"):
        selection.prepare(Settings(model_dir=folder), kept, vggface2=unreachable)


@pytest.mark.torch
def test_a_named_model_out_of_reach_is_an_error(folder: Path, unreachable: PublishedWeights) -> None:
    with pytest.raises(ModelUnavailable, match=r"vggface2.*FACE_WEIGHTS.*FACE_MODEL"):
        selection.prepare(Settings(model="vggface2", model_dir=folder), kept=None, vggface2=unreachable)


@pytest.mark.torch
def test_auto_takes_casia_webface_where_the_other_host_is_out_of_reach(
    tmp_path: Path, unreachable: PublishedWeights, caplog: pytest.LogCaptureFixture
) -> None:
    """From nothing at all: the package is downloaded, and the log says what was chosen and why."""
    with caplog.at_level(logging.INFO):
        files = selection.prepare(Settings(model_dir=tmp_path / "models"), kept=None, vggface2=unreachable)
    assert files.contract == ModelContract(
        model="casia-webface", digest=CASIA_WEBFACE.digest, preprocessing=1, dimension=512
    )
    assert "vggface2 can't be had" in caplog.text
    assert "Model casia-webface" in caplog.text


@pytest.mark.torch
def test_vggface2_is_downloaded_into_torchs_cache(
    casia: ModelFiles, tmp_path: Path, host: tuple[Path, str], unreachable: PublishedWeights
) -> None:
    """As published, with a layer of logits that is left out; the second time no host is asked."""
    import torch
    from safetensors.torch import load_file

    published, address = host
    weights = published / "vggface2.pt"
    torch.save({**load_file(casia.weights), "logits.weight": torch.zeros(8631, 512)}, weights)
    source = replace(VGGFACE2, origin=f"{address}/{weights.name}", digest=model_folder.sha256(weights))

    files = selection.prepare(Settings(model_dir=tmp_path / "models"), kept=None, vggface2=source)
    assert files.contract == ModelContract(model="vggface2", digest=source.digest, preprocessing=1, dimension=512)
    assert not any(name.startswith("logits") for name in load_file(files.weights))
    cached = downloads.torch_checkpoint(replace(source, origin=unreachable.origin), probe=False)
    assert cached == tmp_path / "torch" / "checkpoints" / VGGFACE2.name


@pytest.mark.torch
def test_a_damaged_download_is_refused(tmp_path: Path, host: tuple[Path, str], unreachable: PublishedWeights) -> None:
    """It doesn't reach torch's cache."""
    published, address = host
    (published / "vggface2.pt").write_bytes(b"a page that asks for a password")
    source = replace(unreachable, origin=f"{address}/vggface2.pt")
    with pytest.raises(ModelUnavailable, match=r"hash.*FACE_WEIGHTS"):
        selection.prepare(Settings(model="vggface2", model_dir=tmp_path / "models"), kept=None, vggface2=source)
    assert not list((tmp_path / "torch" / "checkpoints").iterdir())


@pytest.mark.torch
def test_a_host_that_says_nothing_is_not_waited_for(
    unreachable: PublishedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = replace(unreachable, origin=f"http://127.0.0.1:{silent.getsockname()[1]}/vggface2.pt")
        with pytest.raises(ModelUnavailable, match="vggface2"):
            downloads.torch_checkpoint(source, probe=True)


# The models folder


@pytest.mark.process
def test_a_prepared_model_needs_neither_torch_nor_openvino(casia: ModelFiles) -> None:
    """A restart is quick, and a service without conversion to do stays small."""
    script = (
        "import json, sys; from pathlib import Path;"
        "from service.models import selection; from service.settings import Settings;"
        f"selection.prepare(Settings(model='casia-webface', model_dir=Path({str(MODELS)!r})), kept=None);"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "torchvision", "facenet_pytorch", "openvino"} & set(json.loads(done.stdout))


def test_what_is_converted_needs_no_converter_and_what_is_not_says_how_to_install_it(
    casia: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image for processors, which has neither torch nor facenet_pytorch."""
    for package in ("torch", "torchvision", "facenet_pytorch"):
        monkeypatch.setitem(sys.modules, package, None)
    settings = Settings(model="casia-webface", model_dir=casia.facenet.parents[1])
    assert selection.prepare(settings, None) == casia
    with pytest.raises(
        ModelUnavailable, match=r"needs the package torch; .*'face-service\[torch\]' && .*FACE_MODEL_DIR"
    ):
        selection.prepare(replace(settings, model_dir=tmp_path), None)


@pytest.mark.torch
def test_mtcnn_of_another_version_is_refused(folder: Path, casia: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its graphs would carry a digest that isn't theirs."""
    for module in (selection, mtcnn_weights):
        monkeypatch.setattr(module, "MTCNN_DIGEST", "0" * 64)
    with pytest.raises(ModelUnavailable, match=r"MTCNN's weights in .* are damaged or of another version"):
        selection.prepare(Settings(model="casia-webface", model_dir=folder), None)


@pytest.mark.torch
@pytest.mark.parametrize("damage", ["truncated", "altered", "removed"])
def test_damaged_files_are_made_anew(
    folder: Path, unreachable: PublishedWeights, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = selection.prepare(Settings(model_dir=folder), kept=None, vggface2=unreachable)
    weights = files.pnet.with_suffix(".bin")
    whole = weights.read_bytes()
    if damage == "truncated":
        os.truncate(weights, 100)
    elif damage == "altered":
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    else:
        weights.unlink()
    assert selection.prepare(Settings(model_dir=folder), kept=None, vggface2=unreachable) == files
    assert weights.read_bytes() == whole
    assert "damaged" in caplog.text


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path, casia: ModelFiles) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelUnavailable, match="FACE_MODEL_DIR"):
        selection.prepare(Settings(weights=casia.weights, model_dir=tmp_path / "models"), kept=None)


@pytest.mark.process
def test_a_killed_preparation_leaves_nothing_half_made(tmp_path: Path) -> None:
    """The next one makes the files whole and clears the remains."""
    script = (
        "import os, signal, sys; from pathlib import Path; from service.models.folder import ready\n"
        "def make(folder):\n"
        "    (folder / 'half').write_text('ha')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "ready(Path(sys.argv[1]) / 'model', {'version': 1}, ['half'], make)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*/*"))
    assert not list(tmp_path.glob("model"))

    def make(folder: Path) -> None:
        (folder / "half").write_text("half")

    place = model_folder.ready(tmp_path / "model", {"version": 1}, ["half"], make)
    assert (place / "half").read_text() == "half"
    assert {each.name for each in tmp_path.iterdir()} == {place.name, ".lock"}


@pytest.mark.torch
@pytest.mark.process
def test_two_processes_prepare_the_same_folder_at_once(folder: Path, casia: ModelFiles) -> None:
    """One makes the files, the other waits and finds them."""
    script = (
        "import sys; from pathlib import Path;"
        "from service.models import selection; from service.settings import Settings;"
        "selection.prepare(Settings(model='casia-webface', model_dir=Path(sys.argv[1])), kept=None)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, str(folder)], cwd=ROOT) for _ in range(2)]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    assert {each.name for each in folder.iterdir()} == {casia.facenet.parent.name, casia.pnet.parent.name, ".lock"}


def test_files_of_an_older_conversion_are_made_anew(tmp_path: Path) -> None:
    def write(text: str) -> Any:
        return lambda folder: (folder / "graph").write_text(text)

    model_folder.ready(tmp_path / "model", {"version": 1}, ["graph"], write("first"))
    place = model_folder.ready(tmp_path / "model", {"version": 2}, ["graph"], write("second"))
    assert (place / "graph").read_text() == "second"


@pytest.mark.process
def test_openvino_reports_nothing() -> None:
    """Its telemetry stays out even where the package for it is installed."""
    script = (
        "import sys; from service.models.runtimes import import_openvino; import_openvino();"
        "assert sys.modules['openvino_telemetry'] is None;"
        "from openvino.tools.ovc import telemetry_utils; print(telemetry_utils.tm.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"


@pytest.mark.torch
def test_models_folder_is_not_needed_whole(casia: ModelFiles, tmp_path: Path) -> None:
    """A copy of one model's folder, as an image build might make, is enough without a download."""
    copied = tmp_path / casia.facenet.parent.name
    shutil.copytree(casia.facenet.parent, copied)
    assert (
        selection.prepare(Settings(model="casia-webface", model_dir=tmp_path), kept=None).facenet
        == copied / "facenet.xml"
    )
