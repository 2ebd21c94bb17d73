"""Which versions of Qdrant will do."""

from __future__ import annotations

import re

from service.errors import StoreUnavailable
from service.stores.qdrant.link import QdrantLink

OLDEST: tuple[int, ...] = (1, 19)
"""The first version with `memory`; before 1.17 an insertion would even overwrite."""


async def read_version(link: QdrantLink) -> tuple[int, ...]:
    """The first two numbers of the server's version. Raises StoreUnavailable for one that is too old."""
    version = (await link.call(lambda client: client.info())).version
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if numbers < OLDEST:
        raise StoreUnavailable(f"Qdrant {version} is too old; {'.'.join(map(str, OLDEST))} or later is needed.")
    return numbers
