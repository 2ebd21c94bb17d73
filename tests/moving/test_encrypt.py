"""A gallery gets a key, another key, or none, whole at every moment; and `check` reads encrypted ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.commands import check, encrypt
from indexer.commands.encrypt import rekey
from service.errors import InvalidSettings, WrongEncryptionKey
from service.secret_files import read_key
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.stores.encryption.cipher import GalleryCipher, key_of
from service.stores.encryption.migration import EncryptedMigration
from service.stores.encryption.store import EncryptedStore
from service.stores.opening import open_store
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.migration import QdrantMigration
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Store
from service.values import FaceChanges, StoredFace
from tests.commands.test_check import picture
from tests.support import qdrant
from tests.support.qdrant import LOCAL_MODE_WARNINGS
from tests.support.stored_faces import CONTRACT, START, embedding, face

pytestmark = pytest.mark.slow

KEY, OTHER = "ab" * 32, "cd" * 32
INSPECTING = argparse.Namespace(accept=False, forget_pictureless=False)
FACES = [face(n, remark=f"remark {n % 3}", picture=picture(), metadata={"n": n}) for n in range(1, 6)]


async def filled(store: Store, faces: Sequence[StoredFace]) -> None:
    await store.open()
    await store.bind(CONTRACT)
    if faces:
        await store.add_many([(each, embedding(each.face_id)) for each in faces])


async def everything(store: Store) -> list[StoredFace]:
    assert await store.open() == CONTRACT
    await store.bind(CONTRACT)
    found = [each async for each, _ in store.scan_embedded()]
    assert [(await store.search(embedding(each.face_id), 1, gallery=each.gallery)).neighbours[0].face_id == each.face_id
            for each in found] == [True] * len(found)  # fmt: skip
    await store.close()
    return found


async def run(settings: Settings, former: Path | None = None, *, drop_old: bool = True) -> int:
    return await encrypt.run(settings, argparse.Namespace(former_key_file=former, drop_old=drop_old))


def key_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


async def test_a_folder_gets_a_key(tmp_path: Path) -> None:
    """Its faces, embeddings and galleries stay as they are; with --drop-old nothing in clear is left beside it.

    What a command with a third key left, which was killed, isn't taken up.
    """
    clear = Settings(data=tmp_path / "data")
    keyed = Settings(data=clear.data, encryption_key=KEY)
    known = [*FACES, face(9, gallery="staff", picture=picture())]
    store = open_store(clear)
    await filled(store, [])
    await store.create_gallery("staff", START)
    await store.add_many([(each, embedding(each.face_id)) for each in known])
    await store.close()
    third = GalleryCipher(key_of(OTHER))
    left = EncryptedStore(EdgeStore(clear.data / "gallery.new", key_check=third.key_check), third)
    await filled(left, FACES[:2])
    await left.close()

    assert await run(keyed) == 0
    assert await everything(open_store(keyed)) == known
    files = [each for each in clear.data.rglob("*") if each.is_file()]
    assert files
    assert not any(b"remark 1" in each.read_bytes() for each in files)
    with pytest.raises(WrongEncryptionKey, match="already"):
        await run(keyed)
    with pytest.raises(WrongEncryptionKey, match="another key"):
        await run(clear, key_file(tmp_path / "other", OTHER))


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
async def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """In the command and in the settings; its text is never quoted."""
    path = key_file(tmp_path / "key", KEY)
    path.chmod(mode)
    for read in (
        lambda: Settings.from_env({"FACE_ENCRYPTION_KEY_FILE": str(path)}),
        lambda: read_key("--former-key-file", path),
    ):
        with pytest.raises(InvalidSettings, match="chmod 600") as refusal:
            read()
        assert KEY not in str(refusal.value)


@pytest.mark.parametrize("text", ["secret", KEY[:-1], f"{KEY}0", "=" * 44])
async def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    """Before anything is opened, and without quoting it."""
    path = key_file(tmp_path / "key", text)
    with pytest.raises(InvalidSettings) as refusal:
        Settings.from_env({"FACE_ENCRYPTION_KEY_FILE": str(path)})
    assert text not in str(refusal.value)
    with pytest.raises(InvalidSettings, match="32 bytes"):
        await run(Settings(data=tmp_path), path)


async def test_nothing_to_do_is_refused(tmp_path: Path) -> None:
    """Neither with the same key nor with none twice."""
    for settings, path in (
        (Settings(data=tmp_path), None),
        (Settings(data=tmp_path, encryption_key=KEY), key_file(tmp_path / "key", KEY)),
    ):
        with pytest.raises(InvalidSettings, match="stays the same"):
            await run(settings, path)


@pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)
async def test_a_collection_gets_a_key_another_one_and_none() -> None:
    """Each time in another collection, for which the alias stands in the end."""
    first, second = GalleryCipher(key_of(KEY)), GalleryCipher(key_of(OTHER))
    async with qdrant.local_mode() as (connect, name):

        async def to(new: GalleryCipher | None, old: GalleryCipher | None) -> None:
            settings = CollectionSettings(key_check=None if new is None else new.key_check)
            key_check = None if old is None else old.key_check
            kept = QdrantMigration(connect, name, collection_settings=settings, key_check=key_check)
            migration = EncryptedMigration(kept, old=old, new=new)
            assert await rekey(migration, drop_old=True, quiet_s=0.1) == 0
            await migration.close()
            below = QdrantStore(connect, name, collection_settings=settings)
            assert await everything(below if new is None else EncryptedStore(below, new)) == FACES
            await below.open()
            remarks = {each.remark async for each, _ in below.scan_embedded()}
            assert ("remark 1" in remarks) is (new is None)

        await filled(QdrantStore(connect, name), FACES)
        await to(first, None)
        await to(second, first)
        await to(None, second)


@pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)
async def test_what_is_changed_meanwhile_comes_along() -> None:
    """Names and metadata that were changed while a collection got its key, though no text of the two is the same."""
    cipher = GalleryCipher(key_of(KEY))
    async with qdrant.local_mode() as (connect, name):
        running = QdrantStore(connect, name)
        await filled(running, FACES)
        settings = CollectionSettings(key_check=cipher.key_check)
        begun = EncryptedMigration(QdrantMigration(connect, name, collection_settings=settings), old=None, new=cipher)
        await begun.open()
        brought = await begun.begin(CONTRACT)
        await brought.add_many([(each, embedding(each.face_id)) for each in FACES])
        assert await running.rename_person("remark 1", "Zoë", gallery="default") == 2
        changes = FaceChanges(remark="remark 2", metadata={"badge": 7}, expires_at=None)
        assert await running.change(2, changes, gallery="default")
        expected = [
            replace(each, remark="Zoë" if each.remark == "remark 1" else each.remark,
                    metadata={"badge": 7} if each.face_id == 2 else each.metadata)
            for each in FACES
        ]  # fmt: skip
        assert await rekey(begun, drop_old=True, quiet_s=0.1) == 0
        await begun.close()
        await running.close()
        assert await everything(EncryptedStore(QdrantStore(connect, name, collection_settings=settings), cipher)) == (
            expected
        )


async def test_check_decrypts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole gallery is found whole; a face that was put there in clear is named."""
    settings = Settings(data=tmp_path, encryption_key=KEY)
    store = open_store(settings)
    await filled(store, FACES)
    await store.close()
    assert await check.run(settings, INSPECTING) == 0
    below = EdgeStore(tmp_path / "gallery", key_check=GalleryCipher(key_of(KEY)).key_check)
    await filled(below, [face(7, picture=picture())])
    await below.close()
    assert await check.run(settings, INSPECTING) == 1
    assert "face 7 was altered since it was encrypted" in capsys.readouterr().out
    with pytest.raises(WrongEncryptionKey):
        await check.run(Settings(data=tmp_path), INSPECTING)
