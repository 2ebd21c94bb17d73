"""What lists of people and figures cost in an embedded gallery where each face is another person's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from service.stores.edge.store import EdgeStore
from service.stores.people import person_key
from service.values import DEFAULT_GALLERY

PAGE = 100
REPEATS = 20

Ask = Callable[[], Coroutine[Any, Any, object]]


def employee(number: int) -> str:
    """The remark of one of up to ten million, all of which begin alike."""
    return f"employee-{number:07}"


def pages_of_people(store: EdgeStore, people: int) -> dict[str, Ask]:
    """What asks for pages of the people `employee(0)` and on, who have a face each."""
    keys = sorted(person_key(employee(number), gallery=DEFAULT_GALLERY) for number in range(people))

    def page(**where: Any) -> Ask:
        return lambda: store.people(PAGE, gallery=DEFAULT_GALLERY, **where)

    return {
        "first page of people": page(),
        "page in the middle": page(after=keys[people // 2]),
        "last page": page(after=keys[-PAGE]),
        "people by part of one name": page(part=employee(people // 2)[4:]),
        "people by part of every name": page(part="PLOY"),
        "people by part of no name": page(part="nobody"),
    }


async def people_times(store: EdgeStore, people: int) -> dict[str, tuple[float, float]]:
    """Milliseconds, in the median and at most, of those pages, and of figures."""
    pages = await asyncio.to_thread(pages_of_people, store, people)  # a million digests would stop the event loop
    asked = {**pages, "figures": store.figures}
    return {name: await _times(ask) for name, ask in asked.items()}


async def _times(ask: Ask) -> tuple[float, float]:
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return float(np.median(took)), max(took)
