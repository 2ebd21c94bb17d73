"""How people are found in a store that orders by whole numbers only: by the beginning of their remark, then by a hash.

Every face keeps three fields beside its remark: `name`, the remark in one case (NFKC and casefold), in which a part is
searched; `name_order`, the first seven bytes of that as a number, so that people come by their names, about; and
`person`, a number of gallery and remark that tells those apart whose names begin alike. Faces of one person have the
same three, so going through the faces by (name_order, person), and from each pair on to the next, gives each one once.
"""

from __future__ import annotations

import hashlib
import unicodedata

NAME, NAME_ORDER, PERSON = "name", "name_order", "person"
"""The fields of a payload."""

_ORDER_BYTES = 7
"""Seven bytes are below 2^63, the most that Qdrant indexes as a whole number."""

PersonKey = tuple[int, int]
"""A person's place in the list: (name_order, person)."""


def name_of(remark: str) -> str:
    """The remark as it is searched: without its cases and its compatibility forms."""
    return unicodedata.normalize("NFKC", remark.casefold())


def person_key(remark: str, *, gallery: str) -> PersonKey:
    """The place of a remark's person; two people of 30 million in a gallery share one with a probability of 1 in 20."""
    beginning = name_of(remark).encode()[:_ORDER_BYTES].ljust(_ORDER_BYTES, b"\0")
    digest = hashlib.sha256(f"{gallery}\n{remark}".encode()).digest()
    return int.from_bytes(beginning), int.from_bytes(digest[:7])


def person_fields(remark: str, *, gallery: str) -> dict[str, object]:
    """The three fields of a face's payload."""
    order, person = person_key(remark, gallery=gallery)
    return {NAME: name_of(remark), NAME_ORDER: order, PERSON: person}
