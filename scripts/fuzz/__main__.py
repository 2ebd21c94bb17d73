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
from scripts.fuzz.judging import complaint_about_log, steady_growth_mb
from scripts.fuzz.running import fuzzed_service
from scripts.fuzz.sending import Finding, Sender

FOUND = Path(".fuzz")
_LOOKS = 12
"""How often memory is looked at, after equally many cases."""
_STEADY_MB, _GROWTH_MB = 60.0, 250.0
"""Megabytes that a run may add steadily, which are the faces and the log's counters that it makes, and in all, with the
room for its largest photos."""
_JUDGED_CASES = 6000
"""In fewer cases memory grows all the time: photos come that are larger than all before them."""


async def fuzz(*, seed: int, photos: int, requests: int, clients: int, only: tuple[Kind, int] | None) -> list[str]:
    """Send the cases; a line for each thing that was wrong."""
    numbered: list[tuple[Kind, int]] = [only] if only else _spread(photos, requests)
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(numbered), unit=" cases") as bar:
        async with fuzzed_service(Path(folder), os.environ) as service:
            sender = Sender(service, Cases(seed), clients, bar.update)
            memory_mb = []
            for look in range(_LOOKS):
                await sender.send(numbered[len(numbered) * look // _LOOKS : len(numbered) * (look + 1) // _LOOKS])
                memory_mb.append(service.memory_mb())
        said = complaint_about_log(service.log)
    steady_mb = steady_growth_mb(memory_mb)
    print(f"{len(numbered)} cases; MB of memory meanwhile: {', '.join(f'{each:.0f}' for each in memory_mb)}.")
    complaints = [_kept(each) for each in sender.findings] + ([f"The log has {said}"] if said else [])
    if len(numbered) >= _JUDGED_CASES and (steady_mb > _STEADY_MB or memory_mb[-1] - memory_mb[0] > _GROWTH_MB):
        complaints.append(f"The service has grown, steadily by {steady_mb:.0f} MB.")
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
