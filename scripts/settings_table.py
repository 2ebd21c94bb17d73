"""Writes the table of settings into README.md, from the code.

python -m scripts.settings_table
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from service.settings import Settings, variable

README = Path(__file__).parents[1] / "README.md"
PLACE = re.compile(r"(<!-- settings: python -m scripts\.settings_table -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    text = README.read_text("utf-8")
    README.write_text(PLACE.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", text), "utf-8")


def table() -> str:
    """Markdown, one row a setting."""
    rows = ["| Variable | Default | Meaning | Allowed |", "| --- | --- | --- | --- |"]
    for each in fields(Settings):
        default = "" if each.default is None else f"`{_shown(each.default)}`"
        allowed = each.metadata["allowed"] or ("`yes`, `no`" if each.type == "bool" else "")
        rows.append(f"| `{variable(each.name)}` | {default} | {each.metadata['help']} | {allowed} |")
    return "\n".join(rows)


def _shown(default: object) -> str:
    return {True: "yes", False: "no"}[default] if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    main()
