"""A device's side of the service, of the standard library alone; signs requests as docs/device-authentication.md says.

    python3 device_client.py --device ID --secret-file FILE URL register PHOTO REMARK
    python3 device_client.py --device ID --secret-file FILE URL recognise PHOTO | list | delete FACE_ID

Without --device and --secret-file the requests are not signed. To send with another library, take `signed_headers`:

    query = canonical_query({"remark": remark})
    headers = signed_headers(device_id, secret, "POST", "/registration_face", query, photo)
    requests.post(f"{url}/registration_face?{query}", headers=headers, files={"image": photo}, timeout=30)

The file is meant to be copied to devices, so it uses nothing of the service.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import secrets
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

TIMEOUT_S = 30.0


def canonical_query(parameters: Mapping[str, str]) -> str:
    """The query as it is signed, which is also a query to send: encoded by RFC 3986, sorted by name, then value."""
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(  # noqa: PLR0917 - in the order in which the signed text has them
    device_id: str,
    secret: str,
    method: str,
    path: str,
    query: str = "",
    image: bytes = b"",
    *,
    timestamp: int | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """The five headers of a request; `query` is what canonical_query made, `image` empty where there is none.

    `timestamp` (Unix seconds) and `nonce` are now and at random unless given.
    """
    at = str(int(time.time()) if timestamp is None else timestamp)
    nonce = nonce or secrets.token_urlsafe(24)
    digest = hashlib.sha256(image).hexdigest()
    text = f"v1\n{method}\n{path}\n{query}\n{device_id}\n{at}\n{nonce}\n{digest}"
    return {
        "X-Device-Id": device_id,
        "X-Timestamp": at,
        "X-Nonce": nonce,
        "X-Content-SHA256": digest,
        "X-Signature": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
    }


class Client:
    """Asks a service at `url`, such as http://127.0.0.1:5055; each method returns the answer's envelope."""

    def __init__(self, url: str, device_id: str | None = None, secret: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._device_id = device_id
        self._secret = secret

    def register(self, photo: bytes, remark: str) -> dict[str, object]:
        """Have the photo's largest face remembered under a remark."""
        return self._ask("POST", "/registration_face", {"remark": remark}, photo)

    def recognise(self, photo: bytes) -> dict[str, object]:
        """The known faces most like the photo's largest."""
        return self._ask("POST", "/recognition_face", {}, photo)

    def faces(self) -> dict[str, object]:
        """All faces that are known."""
        return self._ask("GET", "/get_registration_face", {})

    def delete(self, face_id: int) -> dict[str, object]:
        """Have a face forgotten."""
        return self._ask("DELETE", "/delete_registration_face", {"face_id": str(face_id)})

    def _ask(self, method: str, path: str, parameters: Mapping[str, str], photo: bytes = b"") -> dict[str, object]:
        query = canonical_query(parameters)
        headers, body = _form(photo) if photo else ({}, None)
        if self._device_id is not None and self._secret is not None:
            headers |= signed_headers(self._device_id, self._secret, method, path, query, photo)
        url = f"{self._url}{path}" + (f"?{query}" if query else "")
        request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - the caller's own service
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            envelope: dict[str, object] = json.load(answer)
        return envelope


def _form(photo: bytes) -> tuple[dict[str, str], bytes]:
    """A multipart body with the photo in the part `image`; the boundary is at random, so that no photo has it."""
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="photo"\r\n'
    body = f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + photo + f"\r\n--{boundary}--\r\n".encode()
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Asks a face service, signing as a device.")
    parser.add_argument("--device", help="the device's id")
    parser.add_argument("--secret-file", type=Path, help="file that holds its secret, readable to nobody else")
    parser.add_argument("url", help="such as http://127.0.0.1:5055")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("register", "recognise"):
        command = commands.add_parser(name)
        command.add_argument("photo", type=Path)
        if name == "register":
            command.add_argument("remark")
    commands.add_parser("list")
    commands.add_parser("delete").add_argument("face_id", type=int)
    options = parser.parse_args()
    if (options.device is None) != (options.secret_file is None):
        parser.error("--device and --secret-file go together")
    return options


def main() -> int:
    """Prints the answer; the exit status is 0 where its code is."""
    options = _options()
    secret = options.secret_file.read_text().strip() if options.secret_file else None
    client = Client(options.url, options.device, secret)
    if options.command == "register":
        answer = client.register(options.photo.read_bytes(), options.remark)
    elif options.command == "recognise":
        answer = client.recognise(options.photo.read_bytes())
    elif options.command == "list":
        answer = client.faces()
    else:
        answer = client.delete(options.face_id)
    print(json.dumps(answer, ensure_ascii=False))
    return 0 if answer["code"] == 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:  # no such file, no service, an answer that isn't JSON
        sys.exit(f"That failed: {error}.")
