"""Makes FaceNet's int8 graph of its float one and crops of faces, whatever its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.models.int8 import cannot_be_kept, keep_int8_graph
from service.models.int8_graph import measure_ranges, write_int8_graph
from service.models.selection import ModelFiles


def quantize(files: ModelFiles, crops: NDArray[np.uint8], threads: int, check: Callable[[Path], None]) -> None:
    """Replace the model's int8 graph by one calibrated on `crops`, (n, 160, 160, 3) RGB, n ≥ 1.

    `check` is given the new graph's file, and raises where it is not to be kept; what was there before then stays.
    Raises ModelUnavailable where the graph can't be written.
    """
    ranges = measure_ranges(files.facenet, crops, threads)

    def make(folder: Path) -> None:
        path = folder / files.facenet_int8.name
        write_int8_graph(files.facenet, ranges, path)
        check(path)

    try:
        keep_int8_graph(files, make)
    except OSError as error:
        raise cannot_be_kept(files, error) from error
