"""A signed address opens one picture, as long as its key is in use."""

from __future__ import annotations

import pytest
from yarl import URL

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


class TestPassing:
    """Addresses that expire."""

    NOW = 1_795_687_205.7

    def at(self, moment: float, keys: str = NEW) -> PictureAddresses:
        return PictureAddresses(public_url="https://faces.example", keys=tuple(keys.split(",")), clock=lambda: moment)

    def parts(self, made: PictureAddresses, face_id: int, gallery: str = "staff") -> dict[str, str]:
        return dict(URL(made.passing(face_id, gallery=gallery).url).query)

    def test_it_holds_ten_minutes_and_is_the_same_for_one(self) -> None:
        """So a browser that asks again has it."""
        for moment in (self.NOW, self.NOW + 59.9, self.NOW + 3600):
            url, expires = self.at(moment).passing(7, gallery="staff")
            assert URL(url).query["expires"] == str(expires)
            assert 600 <= expires - int(moment) < 660
            assert not self.at(expires - 0.1).is_over(str(expires))
            assert self.at(expires).is_over(str(expires))
        assert len({self.at(1_795_687_201 + second).passing(7, gallery="staff") for second in range(60)}) == 1

    def test_each_part_is_signed(self) -> None:
        """Neither the face nor its gallery nor the end can be changed, and it is no address without end."""
        made = self.at(self.NOW)
        parts = self.parts(made, 7)
        signed, expires = parts["signature"], parts["expires"]
        assert made.is_passing(7, signed, gallery="staff", expires=expires)
        for face_id, gallery, end in (
            (8, "staff", expires),
            (7, "default", expires),
            (7, "", expires),
            (7, f"staff\n{expires}", ""),
            (7, "staff", str(int(expires) + 60)),
            (7, "staff", f"0{expires}"),
            (7, "staff", f"{expires}\n"),
            (7, "\ud800", "\udfff"),
        ):
            assert not made.is_passing(face_id, signed, gallery=gallery, expires=end)
        assert not made.is_signed(7, signed)
        assert not made.is_passing(7, signature(made, 7), gallery="staff", expires=expires)

    def test_a_former_key_still_opens(self) -> None:
        parts = self.parts(self.at(self.NOW, OLD), 7)
        for keys, opens in ((f"{NEW},{OLD}", True), (NEW, False)):
            made = self.at(self.NOW, keys)
            assert made.is_passing(7, parts["signature"], gallery="staff", expires=parts["expires"]) is opens
