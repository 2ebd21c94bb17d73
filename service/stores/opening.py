"""Chooses the store that the settings ask for: an embedded one in a folder, or a Qdrant server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.settings import Settings
from service.stores.store import Migration, Store

if TYPE_CHECKING:
    from service.stores.qdrant.collection import CollectionSettings
    from service.stores.qdrant.nodes import Connect


INDEX_FROM = 10_000
"""Faces without an index from which a service builds one: fewer are compared one by one in a millisecond or two."""


def open_store(settings: Settings, *, serves: bool = False) -> Store:
    """The store that the settings ask for, not yet opened.

    One that `serves` for long erases removed faces from an embedded gallery's files, and builds its index, by itself.
    """
    # Imported here, so that each store does without the other's packages.
    if settings.qdrant_url is None:
        from service.stores.edge.store import EdgeStore

        if not serves:
            return EdgeStore(settings.data / "gallery")
        return EdgeStore(settings.data / "gallery", purge_s=settings.purge_s, index_from=INDEX_FROM)

    from service.stores.qdrant.store import QdrantStore

    connect, collection_settings = _server(settings, settings.qdrant_url)
    return QdrantStore(connect, settings.qdrant_collection, collection_settings=collection_settings)


def may_be_there(settings: Settings) -> bool:
    """Whether opening the store may find a gallery; where it can't, opening it would leave an empty folder behind."""
    if settings.qdrant_url is not None:
        return True
    from service.stores.edge.folder import is_there

    return is_there(settings.data / "gallery")


def open_migration(settings: Settings) -> Migration:
    """For the store that the settings ask for, not yet opened."""
    if settings.qdrant_url is None:
        from service.stores.edge.migration import EdgeMigration

        return EdgeMigration(settings.data / "gallery")

    from service.stores.qdrant.migration import QdrantMigration

    connect, collection_settings = _server(settings, settings.qdrant_url)
    return QdrantMigration(connect, settings.qdrant_collection, collection_settings=collection_settings)


def _server(settings: Settings, url: str) -> tuple[Connect, CollectionSettings]:
    """How to reach the Qdrant server at `url`, and the settings of a new collection on it; raises InvalidSettings."""
    from service.stores.qdrant.addresses import Certificates, connector
    from service.stores.qdrant.collection import CollectionSettings

    collection_settings = CollectionSettings(
        shards=settings.qdrant_shards,
        replicas=settings.qdrant_replicas,
        write_consistency=settings.copies_to_write,
        int8=settings.qdrant_quantize == "int8",
    )
    connect = connector(
        url=url,
        grpc_port=settings.qdrant_grpc_port,
        api_key=settings.qdrant_api_key,
        certificates=Certificates(ca=settings.qdrant_ca, cert=settings.qdrant_cert, key=settings.qdrant_cert_key),
    )
    return connect, collection_settings
