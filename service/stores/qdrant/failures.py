"""What the failures of a Qdrant server mean: whether they pass by themselves, and what people should do about them."""

from __future__ import annotations

import re

from grpc import RpcError, StatusCode
from grpc.aio import AioRpcError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse


class NodeSilent(Exception):
    """A node accepts requests and answers nothing, while another one answers."""


_TRANSIENT = {
    *(StatusCode.UNAVAILABLE, StatusCode.ABORTED, StatusCode.RESOURCE_EXHAUSTED),
    StatusCode.DEADLINE_EXCEEDED,
}
"""Refusals that may be over soon: no connection, a cluster that elects a leader, a rate limit, a node that stutters."""

_PASSING = re.compile(
    r"service is currently unavailable|local shard \d+ not found|\d+ of \d+ read operations failed|"
    r"has no active replica",
    re.IGNORECASE,
)
"""What Qdrant says, as INTERNAL, for the second or two in which a shard's leading node is gone, or a new shard isn't on
every node yet. INTERNAL has other causes too, which don't pass."""

_HINTS = {
    StatusCode.UNAUTHENTICATED: "Qdrant refuses FACE_QDRANT_API_KEY; it must be a key that may read and write.",
    StatusCode.PERMISSION_DENIED: "Qdrant's FACE_QDRANT_API_KEY must be a key that may read and write.",
    StatusCode.NOT_FOUND: "The gallery's collection is gone from Qdrant; restart the service.",
}

_UNTRUSTED = (
    "Qdrant's certificate is not trusted, or is not for the name in FACE_QDRANT_URL; set FACE_QDRANT_CA to the "
    "certificate of the authority that signed it, and use a name that it holds."
)
_ANOTHER_PORT = (
    "The port FACE_QDRANT_GRPC_PORT is not gRPC's but that of Qdrant's REST API, or of another program; gRPC's is 6334 "
    "where nobody changed it."
)
_CHANNEL_HINTS = {
    "CERTIFICATE_VERIFY_FAILED": _UNTRUSTED,
    "Hostname Verification": _UNTRUSTED,
    "WRONG_VERSION_NUMBER": "Qdrant's port FACE_QDRANT_GRPC_PORT speaks no TLS; write http:// into FACE_QDRANT_URL, or "
    "switch TLS on in Qdrant's settings.",
    "http1.x server": _ANOTHER_PORT,
    "missing selected ALPN": _ANOTHER_PORT,
}
"""By what gRPC says of a connection that will not come about before somebody corrects a setting."""


def is_transient(error: Exception) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(error, NodeSilent):
        return True
    if not isinstance(error, RpcError | QdrantException) or _channel_hint(error):
        return False
    return code_of(error) in _TRANSIENT or is_passing(error)


def is_passing(error: Exception) -> bool:
    """Whether it is a failure of the cluster that its nodes mend by themselves."""
    return code_of(error) is StatusCode.INTERNAL and _PASSING.search(_details(error)) is not None


def is_of_the_node(error: Exception) -> bool:
    """Whether another node might answer where this one doesn't."""
    away = (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED)
    return isinstance(error, NodeSilent) or code_of(error) in away


def describe(error: Exception) -> str:
    """A failure for the log; never all of it: Qdrant quotes what it was given in some."""
    code = code_of(error)
    return f"{code.name if code else type(error).__name__}: {_details(error):.200}"


def advice(error: Exception) -> str:
    """The sentence for people."""
    if hint := _channel_hint(error):
        return hint
    if is_transient(error):
        if "Socket closed" in _details(error):
            return (
                "Qdrant can't be reached at FACE_QDRANT_URL: it hangs up at once. Wait until it has started; if it "
                "speaks https, write so in FACE_QDRANT_URL; if it wants a certificate, set FACE_QDRANT_CERT."
            )
        return "Qdrant can't be reached at FACE_QDRANT_URL, or is too busy; repeating the request is safe."
    return _HINTS.get(code_of(error), "Qdrant could not carry this out; the service's log says why.")


def code_of(error: Exception) -> StatusCode | None:
    """gRPC's code; None for what the client itself raises."""
    if isinstance(error, ResourceExhaustedResponse):  # the client's own form of a rate limit
        return StatusCode.RESOURCE_EXHAUSTED
    return error.code() if isinstance(error, AioRpcError) else None


def _channel_hint(error: Exception) -> str | None:
    if code_of(error) is not StatusCode.UNAVAILABLE:
        return None
    return next((hint for words, hint in _CHANNEL_HINTS.items() if words in _details(error)), None)


def _details(error: Exception) -> str:
    return (error.details() or "") if isinstance(error, AioRpcError) else str(error)
