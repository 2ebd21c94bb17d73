"""How many pixels a photo may have, by what its head says."""

from __future__ import annotations

from service.errors import ImageTooLarge


def require_pixels(
    size: tuple[int, int] | None, max_pixels: int, *, kind: str = "", advice: str = "send a smaller one"
) -> None:
    """Raises ImageTooLarge beyond `max_pixels` of that kind; a size that isn't known passes."""
    if size is not None and size[0] * size[1] > max_pixels:
        raise ImageTooLarge(f"The image has {size[0]}×{size[1]} pixels{kind}, more than {max_pixels}; {advice}.")
