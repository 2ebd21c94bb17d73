"""How close the networks come to what the processor can do: their arithmetic, its time, and the processor's peak."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from service.models.runtimes import has_bf16, import_openvino
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings

SIDE = 1024
"""Of the square matrices whose product shows the processor's peak."""
RUNS = 60


class Task(NamedTuple):
    """A network at one size of its input, as the service runs it for a photo."""

    name: str
    graph: Path
    shapes: tuple[list[int], ...]
    precision: str


def limits_section(settings: Settings, files: ModelFiles) -> str:
    """A report section in Markdown: GFLOP, milliseconds, and the share of the peak that is reached."""
    threads = model_threads(settings)
    precisions = ["f32", *(["bf16"] if has_bf16() else []), *(["int8"] if files.facenet_int8.exists() else [])]
    peaks = {precision: peak(precision, threads) for precision in precisions if precision != "int8"}
    lines = [
        "## What the processor allows",
        "",
        (
            f"Each network alone with {threads} threads, against the product of two {SIDE}×{SIDE} matrices "
            f"({', '.join(f'{name}: {rate:.0f} GFLOP/s' for name, rate in peaks.items())})."
        ),
        "",
        "| network | arithmetic | GFLOP | ms | GFLOP/s | of the peak |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    floor_ms = {"detection": 0.0}
    for task in _tasks(files, precisions):
        amount, milliseconds = gflop(task), _milliseconds(task, threads)
        rate = amount / milliseconds * 1000
        share = f"{rate / peaks[task.precision]:.0%}" if task.precision in peaks else "–"
        lines.append(f"| {task.name} | {task.precision} | {amount:.3f} | {milliseconds:.2f} | {rate:.0f} | {share} |")
        if task.graph.stem == "facenet":
            floor_ms[task.precision] = floor_ms["detection"] + milliseconds
        else:
            floor_ms["detection"] += milliseconds
    floors = ", ".join(f"{floor_ms[precision]:.1f} ms with FaceNet in {precision}" for precision in precisions)
    return "\n".join([*lines, "", f"- The four networks alone, for a photo of 250×250 with one face: {floors}."])


def _tasks(files: ModelFiles, precisions: Iterable[str]) -> list[Task]:
    """Detection stays in float32: in bf16, boxes and with them embeddings move too far."""
    canvas = [1, 96, 144, 3], [1, 1, 94, 142]
    facenets = [
        Task("FaceNet, one face", files.facenet_int8 if each == "int8" else files.facenet, ([1, 160, 160, 3],), each)
        for each in precisions
    ]
    return [
        Task("PNet, the canvas of 250×250", files.pnet, canvas, "f32"),
        Task("RNet, 32 windows", files.rnet, ([32, 24, 24, 3],), "f32"),
        Task("ONet, 8 windows", files.onet, ([8, 48, 48, 3],), "f32"),
        *facenets,
    ]


def peak(precision: str, threads: int) -> float:
    """GFLOP/s of a matrix product with constant weights, the friendliest work there is."""
    openvino = import_openvino()
    opset = openvino.opset13
    left = opset.parameter([SIDE, SIDE], np.float32)
    right = opset.constant(np.ones((SIDE, SIDE), np.float32))
    product = openvino.Model([opset.matmul(left, right, transpose_a=False, transpose_b=False)], [left])
    run = _runner(product, precision, threads, [np.ones((SIDE, SIDE), np.float32)])
    return 2 * SIDE**3 / 1e9 / _fastest(run) * 1000


def gflop(task: Task) -> float:
    """Of the convolutions and matrix products, a multiplication and an addition counting two."""
    total = 0
    for node in _reshaped(task).get_ops():
        if node.get_type_name() in ("Convolution", "MatMul"):
            weights = list(node.input(1).get_shape())
            outputs = int(np.prod(node.output(0).get_shape()))
            inner = int(np.prod(weights[1:])) if node.get_type_name() == "Convolution" else weights[-1]
            total += 2 * outputs * inner
    return total / 1e9


def _milliseconds(task: Task, threads: int) -> float:
    kind: Any = np.uint8 if task.graph.stem == "facenet" else np.float32
    inputs = [np.zeros(shape, kind) for shape in task.shapes]
    precision = "" if task.precision == "int8" else task.precision
    return _fastest(_runner(_reshaped(task), precision, threads, inputs))


def _reshaped(task: Task) -> Any:
    model = import_openvino().Core().read_model(task.graph)
    model.reshape(dict(zip(model.inputs, task.shapes, strict=True)))
    return model


def _runner(model: Any, precision: str, threads: int, inputs: list[Any]) -> Callable[[], object]:
    options = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
    if precision:
        options["INFERENCE_PRECISION_HINT"] = precision
    request = import_openvino().Core().compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer(inputs, share_inputs=True)


def _fastest(work: Callable[[], object]) -> float:
    """Milliseconds of the quickest of RUNS: a limit is what can be reached, not what others' work leaves of it."""
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took) * 1000
