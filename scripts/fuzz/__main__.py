"""`make fuzz`: damaged photos and requests to the running service, and whether each got its answer.

Nothing may end in an error that nobody foresaw, hang, show what was sent, or leave memory behind. The same seed sends
the same bytes. What is found lies in .fuzz/ and belongs into tests/fuzz/corpus once it is mended.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from scripts.fuzz.cases import Cases, Kind
from scripts.fuzz.judging import complaint_about_log
from scripts.fuzz.running import fuzzed_service
from scripts.fuzz.sending import Finding, Sender

FOUND = Path(".fuzz")
_SETTLED = 0.25
"""Share of the cases after which memory is measured first: by then every decoder has been loaded."""
_SETTLED_CASES = 6000
"""As many at least: before, networks are still compiled for sizes of photos that didn't come yet."""
_GROWTH_MB = 60.0
"""Megabytes that a run may add after that: the faces and the log's counters that it makes."""


async def fuzz(*, seed: int, photos: int, requests: int, clients: int, only: tuple[Kind, int] | None) -> list[str]:
    """Send the cases; a line for each thing that was wrong."""
    numbered: list[tuple[Kind, int]] = [only] if only else _spread(photos, requests)
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(numbered), unit=" cases") as bar:
        async with fuzzed_service(Path(folder), os.environ) as service:
            sender = Sender(service, Cases(seed), clients, bar.update)
            first = max(int(len(numbered) * _SETTLED), min(_SETTLED_CASES, len(numbered)))
            await sender.send(numbered[:first])
            settled_mb = service.memory_mb()
            await sender.send(numbered[first:])
            grown_mb = service.memory_mb() - settled_mb
        said = complaint_about_log(service.log)
    print(f"{len(numbered)} cases; memory {settled_mb:.0f} MB after {first}, {grown_mb:+.0f} MB since.")
    complaints = [_kept(each) for each in sender.findings] + ([f"The log has {said}"] if said else [])
    if grown_mb > _GROWTH_MB and not only:
        complaints.append(f"The service has grown by {grown_mb:.0f} MB; {_GROWTH_MB:.0f} are allowed.")
    return complaints


def _spread(photos: int, requests: int) -> list[tuple[Kind, int]]:
    """Both kinds, mixed evenly."""
    numbered: list[tuple[Kind, int]] = [("photo", each) for each in range(photos)]
    numbered += [("request", each) for each in range(requests)]
    return sorted(numbered, key=lambda each: each[1] / (photos if each[0] == "photo" else requests))


def _kept(finding: Finding) -> str:
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{finding.kind}-{finding.number}.http"
    path.write_bytes(finding.sent)
    return f"{finding.kind} {finding.number}: {finding.complaint} ({path})"


def main() -> int:
    """Exit status 1 where anything was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="another one sends other bytes")
    parser.add_argument("--photos", type=int, default=20_000, help="damaged photos to send")
    parser.add_argument("--requests", type=int, default=10_000, help="damaged requests to send")
    parser.add_argument("--clients", type=int, default=8, help="connections at a time")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"), help="send one case again, such as `photo 17`")
    options = parser.parse_args()
    only: tuple[Kind, int] | None = None
    if options.only:
        only = ("photo" if options.only[0] == "photo" else "request", int(options.only[1]))
    complaints = asyncio.run(
        fuzz(seed=options.seed, photos=options.photos, requests=options.requests, clients=options.clients, only=only)
    )
    print("\n".join(complaints) or "Nothing was wrong.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
