"""A signed address opens one picture, as long as its key is in use."""

from __future__ import annotations

import pytest

from service.errors import InvalidSettings
from service.picture_addresses import PictureAddresses
from service.settings import Settings

OLD, NEW = "the-old-key-of-pictures-0123456789", "the-new-key-of-pictures-0123456789"


def addresses(keys: str, url: str = "https://faces.example/doors/") -> PictureAddresses:
    made = PictureAddresses.of(Settings(public_url=url, picture_key=keys))
    assert made is not None
    return made


def signature(made: PictureAddresses, face_id: int) -> str:
    return made.address(face_id).partition("signature=")[2]


def test_the_address_is_below_that_of_the_service() -> None:
    """Its path ends as the dashboard wants it of a picture."""
    address, _, signed = addresses(NEW).address(7).partition("?signature=")
    assert address == "https://faces.example/doors/v1/faces/7/picture.jpg"
    assert len(signed) == 64


def test_it_opens_no_other_picture() -> None:
    made = addresses(NEW)
    assert made.is_signed(7, signature(made, 7))
    assert not any(made.is_signed(face_id, signature(made, 7)) for face_id in (1, 6, 8, 70, 77))


@pytest.mark.parametrize("forged", ["", "0" * 64, "\ud800", "ü" * 64, "x" * 100_000])
def test_a_signature_that_is_none_opens_nothing(forged: str) -> None:
    assert not addresses(NEW).is_signed(7, forged)


def test_a_changed_signature_opens_nothing() -> None:
    """Be it by one digit, by its case or by its end."""
    made = addresses(NEW)
    right = signature(made, 7)
    other = "0" if right[0] != "0" else "1"
    for changed in (other + right[1:], right[:-1], right + "0", right.upper() + " ", right[::-1]):
        assert not made.is_signed(7, changed)


def test_a_key_can_be_changed_with_and_without_a_time_for_both() -> None:
    """Of several keys the first signs; what an old one signed opens nothing once that is gone."""
    old, both, new = addresses(OLD), addresses(f"{NEW},{OLD}"), addresses(NEW)
    assert signature(both, 7) == signature(new, 7) != signature(old, 7)
    assert both.is_signed(7, signature(old, 7))
    assert not new.is_signed(7, signature(old, 7))


def test_without_settings_there_are_none() -> None:
    """One of the two alone is a slip, which is told."""
    assert PictureAddresses.of(Settings()) is None
    for settings in (Settings(public_url="https://faces.example"), Settings(picture_key=NEW)):
        with pytest.raises(InvalidSettings, match="go together"):
            PictureAddresses.of(settings)


def test_keys_are_not_shown() -> None:
    assert "pictures" not in repr(addresses(NEW))
