"""How remarks are searched and ordered; the stores' contract has the people themselves."""

from __future__ import annotations

import pytest

from service.stores.people import name_of


@pytest.mark.parametrize(
    ("remark", "name"),
    [
        ("Zoë SMITH", "zoë smith"),
        ("Straße", "strasse"),
        ("Ⅳ", "iv"),
        ("ＡＢＣ", "abc"),
        ("№ 5", "no 5"),
        ("𝐀nn", "ann"),
        ("ᴬ", "a"),
    ],
)
def test_a_name_has_one_case(remark: str, name: str) -> None:
    """Also where a compatibility form stands for capitals."""
    assert name_of(remark) == name_of(name_of(remark)) == name
