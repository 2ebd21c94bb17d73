"""A start compiles the networks that its gallery most likely needs while that opens, and uses them if it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import GalleryInUse, StoreUnavailable
from service.gallery import loading
from service.gallery.loading import load_at_once
from service.models import selection
from service.models.selection import ModelFiles
from service.settings import Settings
from service.values import ModelContract
from service.vision.loading import Networks, load_networks

pytestmark = pytest.mark.slow


class Loads:
    """Counts the networks that are loaded and those that are released."""

    def __init__(self) -> None:
        self.loaded = self.released = 0
        self._load_networks = load_networks

    def __call__(self, settings: Settings, files: ModelFiles) -> Networks:
        self.loaded += 1
        return self._load_networks(settings, files)._replace(release=self._release)

    def _release(self) -> None:
        self.released += 1


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    loads = Loads()
    monkeypatch.setattr(loading, "load_networks", loads)
    return loads


async def test_a_new_gallery_gets_the_networks_that_were_compiled_meanwhile(
    settings: Settings, files: ModelFiles, loads: Loads
) -> None:
    """And one that is opened again too."""
    for opened in (1, 2):
        loaded = await load_at_once(settings)
        await loaded.store.close()
        assert (loaded.files, loads.loaded, loads.released) == (files, opened, 0)


async def test_a_gallery_that_turns_out_otherwise_gets_its_own_networks(
    settings: Settings, files: ModelFiles, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that took another's place at that moment; what was compiled for nothing is released."""
    other = ModelContract(model="other", digest="0" * 64, preprocessing=1, dimension=512)
    monkeypatch.setattr(loading, "likely_contract", lambda _: other)
    monkeypatch.setattr(selection, "at_hand", lambda *_, weights: files)
    loaded = await load_at_once(settings)
    await loaded.store.close()
    assert (loaded.files, loads.loaded, loads.released) == (files, 2, 1)


async def test_nothing_is_compiled_for_a_gallery_that_cannot_be_opened(settings: Settings, loads: Loads) -> None:
    """It says why."""
    contract = settings.data / "gallery" / "contract.json"
    contract.parent.mkdir(parents=True)
    contract.write_text("damaged")
    with pytest.raises(StoreUnavailable, match="contract"):
        await load_at_once(settings)
    assert loads.loaded == 0


async def test_what_was_compiled_for_a_gallery_that_is_in_use_is_released(settings: Settings, loads: Loads) -> None:
    first = await load_at_once(settings)
    try:
        with pytest.raises(GalleryInUse):
            await load_at_once(settings)
    finally:
        await first.store.close()
    assert (loads.loaded, loads.released) == (2, 1)


def test_a_model_that_must_be_converted_first_is_not_at_hand(settings: Settings, tmp_path: Path) -> None:
    """Nor one of which a file is damaged; nothing is made."""
    elsewhere = replace(settings, model_dir=tmp_path / "models")
    assert selection.at_hand(elsewhere, None, weights=False) is None
    assert not elsewhere.model_dir.exists()
    files = selection.prepare(settings, None)
    for each in (files.facenet.parent, files.pnet.parent):
        copied = elsewhere.model_dir / each.name
        copied.mkdir(parents=True)
        for file in each.iterdir():
            (copied / file.name).symlink_to(file)
    for weights in (False, True):
        found = selection.at_hand(elsewhere, None, weights=weights)
        assert found is not None
        assert found.contract == files.contract
    for name, with_weights_only in (("facenet.safetensors", True), ("facenet.bin", False)):
        damaged = elsewhere.model_dir / files.facenet.parent.name / name
        damaged.unlink()
        damaged.write_bytes(b"damaged")
        assert selection.at_hand(elsewhere, None, weights=True) is None
        assert (selection.at_hand(elsewhere, None, weights=False) is not None) == with_weights_only
