"""Chooses the store that the settings ask for: an embedded one in a folder, or a Qdrant server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.settings import Settings
from service.stores.store import Migration, Store

if TYPE_CHECKING:
    from service.stores.qdrant.collection import CollectionSettings
    from service.stores.qdrant.link import Connect


def open_store(settings: Settings) -> Store:
    """The store that the settings ask for, not yet opened."""
    # Imported here, so that each store does without the other's packages.
    if settings.qdrant_url is None:
        from service.stores.edge.store import EdgeStore

        return EdgeStore(settings.data / "gallery")

    from service.stores.qdrant.store import QdrantStore

    return QdrantStore(*_server(settings, settings.qdrant_url))


def open_migration(settings: Settings) -> Migration:
    """For the store that the settings ask for, not yet opened."""
    if settings.qdrant_url is None:
        from service.stores.edge.migration import EdgeMigration

        return EdgeMigration(settings.data / "gallery")

    from service.stores.qdrant.migration import QdrantMigration

    return QdrantMigration(*_server(settings, settings.qdrant_url))


def _server(settings: Settings, url: str) -> tuple[Connect, str, CollectionSettings]:
    """How to reach the gallery on a Qdrant server, its name, and what a new collection is made with."""
    from service.stores.qdrant.collection import CollectionSettings
    from service.stores.qdrant.link import connector

    layout = CollectionSettings(
        shards=settings.qdrant_shards,
        replicas=settings.qdrant_replicas,
        write_consistency=settings.qdrant_write_consistency,
        int8=settings.qdrant_quantize == "int8",
    )
    return connector(url, settings.qdrant_grpc_port, settings.qdrant_api_key), settings.qdrant_collection, layout
