"""What is read out of a frozen graph, and that half a graph is refused."""

from __future__ import annotations

import hashlib

import pytest

from service.models.tensorflow_graph import facenet_arrays, float_constants

CONSTANTS_SHA256 = "047b9d9e2d02056b69c1f7af5e94669a685be70a231fc01580383b895581d3bf"
"""Of casia-webface's constants, names and shapes included, as two decoders read them: Protocol Buffers' own, and one
that was written for this file alone."""


@pytest.mark.slow
def test_every_constant_of_casia_webface_is_read(casia_graph: bytes) -> None:
    """All 268, each with its name, its shape and its very bytes, in the file's order."""
    digest, names = hashlib.sha256(), []
    for name, array in float_constants(casia_graph):
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.tobytes())
        names.append(name)
    assert len(names) == len(set(names)) == 268
    assert digest.hexdigest() == CONSTANTS_SHA256


@pytest.mark.parametrize("graph", [b"", b"\x0a\xff\x01name", b"\x0anot weights", bytes(100), b"\x89PNG\r\n\x1a\n" * 4])
def test_what_is_no_graph_is_refused(graph: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        facenet_arrays(graph)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_graph_cut_short_is_refused(casia_graph: bytes, kept: float) -> None:
    """Neither an endless loop nor half of the weights."""
    with pytest.raises((ValueError, KeyError)):
        facenet_arrays(casia_graph[: int(len(casia_graph) * kept)])


def test_a_graph_without_its_last_byte_is_refused(casia_graph: bytes) -> None:
    with pytest.raises(ValueError, match="cut short"):
        facenet_arrays(casia_graph[:-1])
