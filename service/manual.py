"""The manual of the settings for `--help` and the documents: each with its default, meaning and what it accepts."""

from __future__ import annotations

from typing import NamedTuple

from service.settings import FIELDS
from service.variables import allowed, as_text, variable


class Described(NamedTuple):
    """A line of the manual; `default` and `allowed` are empty where there is none or any value will do."""

    variable: str
    default: str
    meaning: str
    allowed: str


def described() -> list[Described]:
    """Every setting, in the order in which people read them; names of values stand in backquotes."""
    return [
        Described(variable(name), as_text(field.default), field.description or "", allowed(field))
        for name, field in FIELDS.items()
    ]


def manual() -> str:
    """Every setting with its default and meaning, for the command line."""
    lines = []
    for each in described():
        values = f" ({each.allowed})" if each.allowed else ""
        lines.append(f"  {each.variable:<29} {each.default:<12} {each.meaning}{values}".replace("`", ""))
    return "\n".join(lines)
