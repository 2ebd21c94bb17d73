"""The model contract as stores write it down, and what is said when it is another model's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from service.errors import ContractMismatch, WrongEncryptionKey
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


def require_key(kept: str | None, given: str | None) -> None:
    """Raise WrongEncryptionKey unless a gallery was made for the key that is given; both are keys' check values.

    None stands for no key, and a gallery in clear.
    """
    if kept == given:
        return
    if given is None:
        raise WrongEncryptionKey(
            "The gallery is encrypted; name its key's file with FACE_ENCRYPTION_KEY_FILE, without which nobody can "
            "read it."
        )
    if kept is None:
        raise WrongEncryptionKey(
            "The gallery isn't encrypted, and FACE_ENCRYPTION_KEY is set; encrypt it with `python -m indexer encrypt`, "
            "or unset the key."
        )
    raise WrongEncryptionKey(
        "The gallery is encrypted with another key than FACE_ENCRYPTION_KEY; name the one that it was made with, or "
        "give it this one with `python -m indexer encrypt --former-key-file FILE`."
    )


def describe(contract: ModelContract) -> str:
    """`vggface2 (weights 0123456789ab, preprocessing 1)`."""
    return f"{contract.model} (weights {contract.digest[:12]}, preprocessing {contract.preprocessing})"
