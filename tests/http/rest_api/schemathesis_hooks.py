"""For `st run`: bodies of the type image/jpeg are photos, so that operations succeed; SCHEMATHESIS_PHOTOS has them.

Those of archives are any bytes, which it can't make of that type by itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import schemathesis
from hypothesis import strategies

PHOTOS = [path.read_bytes() for path in sorted(Path(os.environ["SCHEMATHESIS_PHOTOS"]).glob("*.jpg"))]

schemathesis.openapi.media_type("image/jpeg", strategies.sampled_from(PHOTOS))
schemathesis.openapi.media_type("application/x-ndjson", strategies.binary())
