"""Makes tests/gallery/golden/vggface2_portraits.json: what facenet-pytorch, as pip installs it, finds in four photos.

Run from the project's folder: `python -m scripts.bench.golden`. It needs ../shared with the photos and the vggface2
weights, and makes facenet-pytorch's own environment under .bench/ on first use (about 5 GB).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from scripts.bench.environments import FACENET_PYTORCH
from scripts.bench.pipelines import Reference

SHARED = Path("../shared")
WEIGHTS = SHARED / "models" / "facenet-vggface2-fp16.pt"
PORTRAITS = ("angelina_jolie.jpg", "kate_siegel.jpg", "paul_rudd.jpg", "shea_whigham.jpg")
GOLDEN = Path("tests/gallery/golden/vggface2_portraits.json")


def main() -> None:
    with Reference(FACENET_PYTORCH, WEIGHTS) as reference:
        golden = {
            "made_by": dict(reference.versions),
            "weights_sha256": _sha256(WEIGHTS),
            "portraits": {name: portrait(reference, SHARED / "faces" / "photos" / name) for name in PORTRAITS},
        }
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


def portrait(reference: Reference, path: Path) -> dict[str, Any]:
    """The largest face: box, landmarks, probability, and the embedding as base64 of 512 little-endian float32."""
    answer = reference.answer(path)
    return {
        "sha256": _sha256(path),
        "box": answer["boxes"][0],
        "landmarks": answer["landmarks"][0],
        "probability": answer["probabilities"][0],
        "embedding": answer["embeddings"][0],
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
