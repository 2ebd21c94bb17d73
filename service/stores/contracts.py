"""The model contract as stores write it down, and what is said when it is another model's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from service.errors import ContractMismatch
from service.values import ModelContract


def to_mapping(contract: ModelContract) -> dict[str, Any]:
    """For JSON."""
    return asdict(contract)


def from_mapping(mapping: Any) -> ModelContract:
    """The contract that `to_mapping` was given. Raises TypeError or ValueError for anything else."""
    contract = ModelContract(**mapping)
    for name, kind in (("model", str), ("digest", str), ("preprocessing", int), ("dimension", int)):
        if not isinstance(getattr(contract, name), kind):
            raise ValueError(f"{name} is no {kind.__name__}")
    return contract


def require(kept: ModelContract, wanted: ModelContract, elsewhere: str) -> None:
    """Raise ContractMismatch unless they are the same; `elsewhere` says where another gallery could be."""
    if kept != wanted:
        raise ContractMismatch(
            f"The gallery was made with {describe(kept)}, but the service runs {describe(wanted)}; start it with the "
            "former FACE_MODEL or FACE_WEIGHTS, compute its faces again with `python -m indexer reembed`, or "
            f"{elsewhere}."
        )


def describe(contract: ModelContract) -> str:
    """`vggface2 (weights 0123456789ab, preprocessing 1)`."""
    return f"{contract.model} (weights {contract.digest[:12]}, preprocessing {contract.preprocessing})"
