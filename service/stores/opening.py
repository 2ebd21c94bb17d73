"""Chooses the store that the settings ask for, in clear or encrypted: one in a folder, or a Qdrant server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import InvalidSettings
from service.picture_addresses import PictureAddresses
from service.settings import Settings
from service.stores.store import Migration, Store
from service.values import ModelContract

if TYPE_CHECKING:
    from service.stores.encryption.cipher import GalleryCipher
    from service.stores.qdrant.collection import CollectionSettings
    from service.stores.qdrant.nodes import Connect


INDEX_FROM = 10_000
"""Faces without an index from which a service builds one: fewer are compared one by one in a millisecond or two."""


def open_store(settings: Settings, *, serves: bool = False) -> Store:
    """The store that the settings ask for, not yet opened. Raises InvalidSettings.

    One that `serves` for long erases removed faces from an embedded gallery's files, and builds its index, by itself.
    """
    cipher = cipher_of(settings.encryption_key)
    store = _open_kept(settings, _check(cipher), serves=serves)
    if cipher is None:
        return store
    from service.stores.encryption.store import EncryptedStore

    return EncryptedStore(store, cipher)


def _open_kept(settings: Settings, key_check: str | None, *, serves: bool = False) -> Store:
    # Imported here, so that each store does without the other's packages.
    if settings.qdrant_url is None:
        from service.stores.edge.store import EdgeStore

        folder = settings.data / "gallery"
        if not serves:
            return EdgeStore(folder, key_check=key_check)
        return EdgeStore(folder, key_check=key_check, purge_s=settings.purge_s, index_from=INDEX_FROM)

    from service.stores.qdrant.store import QdrantStore

    connect, collection_settings = _server(settings, settings.qdrant_url, key_check)
    return QdrantStore(
        connect,
        settings.qdrant_collection,
        collection_settings=collection_settings,
        addresses=PictureAddresses.of(settings),
    )


def may_be_there(settings: Settings) -> bool:
    """Whether opening the store may find a gallery; where it can't, opening it would leave an empty folder behind."""
    if settings.qdrant_url is not None:
        return True
    from service.stores.edge.folder import is_there

    return is_there(settings.data / "gallery")


def likely_contract(settings: Settings) -> ModelContract | None:
    """The contract that opening the store will find, as far as can be told without it; None where it can't.

    Raises StoreUnavailable for a gallery that has none but should.
    """
    if settings.qdrant_url is not None:
        return None
    from service.stores.edge.folder import read_contract

    kept = read_contract(settings.data / "gallery")
    return None if kept is None else kept.model


def open_migration(settings: Settings) -> Migration:
    """For the store that the settings ask for, not yet opened; the new gallery has the key of the old one."""
    return open_rekeying(settings, former=settings.encryption_key)


def open_rekeying(settings: Settings, *, former: str | None) -> Migration:
    """From a gallery with the key `former`, None for one in clear, to one with the settings' key, or in clear.

    Not yet opened. Raises InvalidSettings.
    """
    old, new = cipher_of(former), cipher_of(settings.encryption_key)
    kept = _open_kept_migration(settings, _check(old), _check(new))
    if old is None and new is None:
        return kept
    from service.stores.encryption.migration import EncryptedMigration

    return EncryptedMigration(kept, old=old, new=new)


def _open_kept_migration(settings: Settings, key_check: str | None, new_key_check: str | None) -> Migration:
    if settings.qdrant_url is None:
        from service.stores.edge.migration import EdgeMigration

        return EdgeMigration(settings.data / "gallery", key_check=key_check, new_key_check=new_key_check)

    from service.stores.qdrant.migration import QdrantMigration

    connect, collection_settings = _server(settings, settings.qdrant_url, new_key_check)
    return QdrantMigration(
        connect,
        settings.qdrant_collection,
        collection_settings=collection_settings,
        key_check=key_check,
        addresses=PictureAddresses.of(settings),
    )


def cipher_of(key: str | None) -> GalleryCipher | None:
    """What encrypts with the key of a setting, None without one. Raises InvalidSettings for what is no key."""
    if key is None:
        return None
    from service.stores.encryption.cipher import GalleryCipher, key_of  # takes 20 ms

    try:
        return GalleryCipher(key_of(key))
    except ValueError:
        raise InvalidSettings("An encryption key has 32 bytes, as hex or as base64; make one anew.") from None


def _check(cipher: GalleryCipher | None) -> str | None:
    return None if cipher is None else cipher.key_check


def _server(settings: Settings, url: str, key_check: str | None) -> tuple[Connect, CollectionSettings]:
    """How to reach the Qdrant server at `url`, and the settings of a new collection on it; raises InvalidSettings."""
    from service.stores.qdrant.addresses import Certificates, connector
    from service.stores.qdrant.collection import CollectionSettings

    collection_settings = CollectionSettings(
        shards=settings.qdrant_shards,
        replicas=settings.qdrant_replicas,
        write_consistency=settings.copies_to_write,
        int8=settings.qdrant_quantize == "int8",
        key_check=key_check,
    )
    connect = connector(
        url=url,
        grpc_port=settings.qdrant_grpc_port,
        api_key=settings.qdrant_api_key,
        certificates=Certificates(ca=settings.qdrant_ca, cert=settings.qdrant_cert, key=settings.qdrant_cert_key),
    )
    return connect, collection_settings
