"""The gallery that requests are about, with the engine of its model: another one may take its place as they run."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from service.gallery.galleries import Galleries
from service.gallery.photos import PhotoReader
from service.http.health import Health
from service.http.keys import CURRENT, OPENED
from service.http.move_watch import MoveWatch
from service.moving.transfer import Transfer
from service.stores.store import Store
from service.values import ModelContract
from service.vision.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A store and the engine that its embeddings were made with, and what handlers ask of the two together."""

    engine: Engine
    store: Store
    contract: ModelContract
    galleries: Galleries
    photo_reader: PhotoReader
    transfer: Transfer
    health: Health
    moves: MoveWatch


class Current:
    """What new requests get."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened


def opened_for(request: web.Request) -> Opened:
    """What a request asks, the same from its first question to its last, whatever takes the place of it meanwhile.

    So no embedding is ever looked for among those of another model.
    """
    if OPENED not in request:
        request[OPENED] = request.app[CURRENT].opened
    return request[OPENED]
