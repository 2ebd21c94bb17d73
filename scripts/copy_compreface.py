"""Copies every example of a CompreFace into this service, or into another one that speaks its API.

    python3 scripts/copy_compreface.py http://compreface:8000 http://127.0.0.1:5055 --old-key-file old.key

The old key is that of CompreFace's recognition service, the new one (`--new-key-file`) of the file FACE_KEYS; a service
that asks nobody needs none. It may be run again: the same photo of the same subject is the same example. The exit
status is 1 if some were not copied; a line for each says why. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

TIMEOUT_S = 60.0
TRIES, PAUSE_S = 5, 2.0
"""Of a service that is busy."""
PAGE = 100
BOUNDARY = "example-of-a-subject"
API = "/api/v1/recognition/faces"


@dataclass(frozen=True, slots=True)
class Service:
    """One that speaks CompreFace's API."""

    url: str
    key: str

    def ask(self, path: str, body: bytes | None = None, content_type: str = "application/json") -> bytes:
        """The answer. Raises OSError, urllib.error.HTTPError among them; what is busy is asked again."""
        headers = {"x-api-key": self.key, "Content-Type": content_type}
        request = urllib.request.Request(self.url.rstrip("/") + path, body, headers)  # noqa: S310 - the operator's URL
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                    answer: bytes = response.read()
                    return answer
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or not left:
                    raise
                time.sleep(PAUSE_S)
        raise AssertionError  # the last try returns or raises

    def examples(self) -> Iterator[tuple[str, str]]:
        """The image_id and the subject of each."""
        page, pages = 0, 1
        while page < pages:
            told: dict[str, Any] = json.loads(self.ask(f"{API}?page={page}&size={PAGE}"))
            for each in told["faces"]:
                yield each["image_id"], each["subject"]
            page, pages = page + 1, told["total_pages"]

    def image(self, image_id: str) -> bytes:
        """The photo of an example; empty where it was not kept."""
        return self.ask(f"{API}/{quote(image_id, safe='')}/img")

    def add(self, photo: bytes, subject: str) -> None:
        """Register the photo's face."""
        head = 'Content-Disposition: form-data; name="file"; filename="1.jpg"\r\nContent-Type: application/octet-stream'
        body = f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
        self.ask(f"{API}?subject={quote(subject, safe='')}", body, f"multipart/form-data; boundary={BOUNDARY}")


def copy(old: Service, new: Service) -> Iterator[tuple[str, str, str]]:
    """Each example's image_id and subject, and why it was not copied; empty where it was. Raises OSError."""
    for image_id, subject in dict(old.examples()).items():  # all first: copying takes long, and pages move meanwhile
        photo = old.image(image_id)
        if not photo:
            yield image_id, subject, "CompreFace has not kept its photo"
            continue
        try:
            new.add(photo, subject)
        except urllib.error.HTTPError as error:
            if error.code not in {400, 413}:
                raise
            yield image_id, subject, _message(error)
        else:
            yield image_id, subject, ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Copies every example of a CompreFace into another service.")
    parser.add_argument("old", help="address of CompreFace, such as http://compreface:8000")
    parser.add_argument("new", help="address of the service, such as http://127.0.0.1:5055")
    parser.add_argument("--old-key-file", type=Path, help="a file with the key of CompreFace's recognition service")
    parser.add_argument("--new-key-file", type=Path, help="a file with a key of the service, made by `keys add`")
    options = parser.parse_args(arguments)
    copied = failed = 0
    try:
        old, new = Service(options.old, _key(options.old_key_file)), Service(options.new, _key(options.new_key_file))
        for image_id, subject, why in copy(old, new):
            copied, failed = copied + (not why), failed + bool(why)
            if why:
                print(f"{subject}: {image_id} was not copied: {why}", file=sys.stderr)
    except OSError as error:
        told = _message(error) if isinstance(error, urllib.error.HTTPError) else str(error)
        print(f"Stopped after {copied} examples: {told}", file=sys.stderr)
        return 1
    print(f"{copied} examples copied, {failed} not.")
    return 1 if failed else 0


def _key(path: Path | None) -> str:
    return "none" if path is None else path.read_text("utf-8").strip()


def _message(error: urllib.error.HTTPError) -> str:
    """What the service says of the failure."""
    try:
        return str(json.loads(error.read())["message"])
    except (ValueError, KeyError, TypeError):
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
