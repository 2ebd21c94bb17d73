"""Writes the tables of settings into docs/settings.md, from the code.

python -m scripts.settings_table
"""

from __future__ import annotations

from scripts.generated import DOCS, write_part
from service.manual import Described, described

PAGE = DOCS / "settings.md"
COMMAND = "python -m scripts.settings_table"

GROUPS = {
    "The address": ("HOST", "PORT", "TLS_CERT", "TLS_KEY", "TRUSTED_PROXIES"),
    "How much at once": (
        "MAX_CONNECTIONS",
        "MAX_ADDRESS_CONNECTIONS",
        "MAX_UPLOADS_BYTES",
        "MAX_QUEUE",
        "RECEIVE_S",
        "SEND_S",
    ),
    "The gallery in a folder": ("DATA",),
    "The gallery on a Qdrant server": (
        "QDRANT_URL",
        "QDRANT_API_KEY",
        "QDRANT_GRPC_PORT",
        "QDRANT_CA",
        "QDRANT_CERT",
        "QDRANT_CERT_KEY",
        "QDRANT_COLLECTION",
        "QDRANT_SHARDS",
        "QDRANT_REPLICAS",
        "QDRANT_WRITE_CONSISTENCY",
        "QDRANT_QUANTIZE",
        "PUBLIC_URL",
        "PICTURE_KEY",
    ),
    "The model": ("MODEL", "WEIGHTS", "MODEL_DIR", "COMPUTE", "PRECISION", "THREADS"),
    "Photos and faces": (
        "MAX_BYTES",
        "MAX_PIXELS",
        "DECODE_S",
        "PICTURE_SIDE",
        "SEARCH_SIDE",
        "MIN_FACE",
        "MIN_SHARE",
        "MIN_SCORE",
        "CHOICE",
        "ROTATE",
        "QUALITY",
        "DUPLICATE",
        "MIRROR",
    ),
    "Answers": ("THRESHOLD", "FPIR", "SCORE", "ID_BITS", "REMARK_CHARSET", "DELETE_BY_GET"),
    "The console": ("CONSOLE",),
    "Other programs' APIs": ("COMPREFACE",),
    "Who may ask": ("DEVICES", "DEVICE_RATE", "NONCES_URL", "KEYS", "CORS_ORIGINS"),
    "Personal data": ("AUDIT", "AUDIT_DAYS", "RETENTION_DAYS", "PURGE_S", "ENCRYPTION_KEY"),
    "The log": ("LOG_FORMAT", "LOG_LEVEL"),
}
"""Heading: the settings below it, without FACE_. One that is in none of them comes last, under OTHERS."""

OTHERS = "Others"


def main() -> None:
    """Write the page anew."""
    write_part(PAGE, COMMAND, tables())


def tables() -> str:
    """Markdown: a heading and a table for each group, one row for each setting."""
    settings = {each.variable: each for each in described()}
    parts = []
    for heading, names in GROUPS.items():
        parts.append(_table(heading, [settings.pop(f"FACE_{name}") for name in names]))
    if settings:
        parts.append(_table(OTHERS, list(settings.values())))
    return "\n\n".join(parts)


def _table(heading: str, settings: list[Described]) -> str:
    lines = [f"### {heading}", "", "| Variable | Default | Meaning | Allowed |", "| --- | --- | --- | --- |"]
    for each in settings:
        default = f"`{each.default}`" if each.default else ""
        lines.append(f"| `{each.variable}` | {default} | {each.meaning} | {each.allowed} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
