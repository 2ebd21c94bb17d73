"""The settings on personal data that outlive a request: the audit trail, and for how long faces are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

AuditFile = Annotated[
    Path | None,
    Field(
        description="A file in which it is written down who was recognised or changed what (docs/privacy.md); without "
        "it nothing is."
    ),
]
AuditDays = Annotated[int, Field(ge=1, le=36_500, description="Days for which the events in FACE_AUDIT are kept.")]
RetentionDays = Annotated[
    int,
    Field(
        ge=0,
        le=36_500,
        description="Days after which people are forgotten who were neither recognised nor registered; 0 keeps them.",
    ),
]
PurgeS = Annotated[
    int,
    Field(
        ge=0,
        le=366 * 86_400,
        description="Seconds within which nothing of a removed face, picture or remark is left in the files of an "
        "embedded gallery (docs/privacy.md); 0 leaves that to `python -m indexer optimize --purge`.",
    ),
]
