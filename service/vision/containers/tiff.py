"""Looks at the first directory of a TIFF: how many strips or tiles the photo is in, and how much its tags hold."""

from __future__ import annotations

from service.errors import ImplausibleImage
from service.vision.containers.tags import first_directory

MAX_ENTRIES = 2000
MAX_STRIPS = 50_000
"""Or tiles. A strip has one row at least; Pillow goes through them in Python."""
MAX_SHARE = 4
"""How much the tags may hold, in lengths of the file; overlapping values hold more."""

_STRIPS = {273, 279, 324, 325}
"""The tags of where strips and tiles are, and how long."""


def require_plausible(photo: bytes) -> None:
    """Raises ImplausibleImage for a TIFF that no program writes; in time that grows with MAX_ENTRIES."""
    directory = first_directory(photo)
    if directory is None:
        return
    if directory.claimed > MAX_ENTRIES:
        raise ImplausibleImage(f"The image has more than {MAX_ENTRIES} tags, as no program writes; save it as JPEG.")
    held = 0
    for entry in directory.entries:
        if entry.tag in _STRIPS and entry.values > MAX_STRIPS:
            raise ImplausibleImage(f"The image is in more than {MAX_STRIPS} strips; save it as JPEG.")
        held += min(entry.size, len(photo))
    if held > MAX_SHARE * len(photo):
        raise ImplausibleImage("The image's tags hold several times what the file does; save it as JPEG.")
