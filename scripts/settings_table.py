"""Writes the table of settings into README.md, from the code.

python -m scripts.settings_table
"""

from __future__ import annotations

import re
from pathlib import Path

from service.settings import described

README = Path(__file__).parents[1] / "README.md"
PLACE = re.compile(r"(<!-- settings: python -m scripts\.settings_table -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    text = README.read_text("utf-8")
    README.write_text(PLACE.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", text), "utf-8")


def table() -> str:
    """Markdown, one row a setting."""
    rows = ["| Variable | Default | Meaning | Allowed |", "| --- | --- | --- | --- |"]
    for each in described():
        default = f"`{each.default}`" if each.default else ""
        rows.append(f"| `{each.variable}` | {default} | {each.meaning} | {each.allowed} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
