"""Sends photos to a running service, which alone has its embedded gallery open."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import aiohttp
from yarl import URL

from indexer.importing.failures import AWAY_LIMIT_S, CannotGoOn, Refused, until_available
from indexer.importing.outcomes import Outcome
from indexer.importing.pipeline import Written
from service.devices.signatures import Claim, signed_headers
from service.errors import InvalidSettings, StoreUnavailable
from service.gallery.enrollment import Candidate

LIMIT_S = 60.0
"""For one photo; a service that is busy answers later, not never."""

Sign = Callable[[str, str, bytes], Mapping[str, str]]
"""Method, path with query, and the photo's bytes to the headers that prove which device sends them."""

NONCE_BYTES = 18

REGISTER = "/registration_face"
BAD_SIGNATURE, BAD_DEVICE = 1002, 1003


class ServiceClient:
    """Registers one photo after the other; `observe` and `write` are a pipeline's."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        sign: Sign | None = None,
        *,
        away_limit_s: float = AWAY_LIMIT_S,
    ) -> None:
        """`url` is where the service listens; `sign` is needed where it asks devices for signatures."""
        self._session = session
        self._url = url.rstrip("/")
        self._sign = sign
        self._away_limit_s = away_limit_s

    async def observe(self, content: bytes, remark: str) -> Candidate:
        """Register the photo; the candidate has no faces, for the service finds and keeps them.

        Raises Refused, or CannotGoOn where the service stays away or wants a signature.
        """
        await until_available(partial(self._register, content, remark), self._away_limit_s)
        return Candidate(sha256=hashlib.sha256(content).hexdigest(), picture="", faces=())

    async def write(self, candidates: Sequence[tuple[Candidate, str]]) -> list[list[Written]]:
        """Nothing is left to do; the device API tells neither the numbers of the faces nor which were known."""
        return [[(Outcome.REGISTERED, None)] for _ in candidates]

    async def check(self) -> None:
        """Raises StoreUnavailable unless a service is there and ready."""
        try:
            async with self._session.get(f"{self._url}/readyz") as response:
                if response.status != HTTPStatus.OK:
                    raise StoreUnavailable(f"The service at {self._url} is not ready ({response.status}); see its log.")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            problem = f"There is no service at {self._url} ({error}); start it or correct --service."
            raise StoreUnavailable(problem) from None

    async def _register(self, content: bytes, remark: str) -> None:
        target = f"{REGISTER}?remark={quote(remark, safe='')}"
        headers = self._sign("POST", target, content) if self._sign else {}
        form = aiohttp.FormData()
        form.add_field("image", content, filename="photo", content_type="application/octet-stream")
        try:
            url = URL(self._url + target, encoded=True)
            async with self._session.post(url, data=form, headers=headers) as response:
                answer = await response.json()
            code, detail = int(answer["code"]), str(answer["detail"])
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            raise StoreUnavailable(f"The service at {self._url} gave no answer ({error}).") from None
        except (aiohttp.ClientError, ValueError, KeyError, TypeError):
            raise CannotGoOn(f"What answers at {self._url} is no face service; correct --service.") from None
        if code in (BAD_SIGNATURE, BAD_DEVICE):
            raise CannotGoOn(f"The service at {self._url} does not know this device: {detail}")
        if code != 0:
            await self.check()  # a photo is not to blame for a gallery that is away
            raise Refused(detail)


def signer(device_id: str, secret_file: Path) -> Sign:
    """Signs as a device, with the secret in a file of its own. Raises InvalidSettings where that can't be read."""
    try:
        secret = secret_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"--secret-file {secret_file} can't be read ({error}); name the file of the secret."
        ) from None

    def sign(method: str, target: str, content: bytes) -> Mapping[str, str]:
        sha256 = hashlib.sha256(content).hexdigest()
        claim = Claim(
            device_id=device_id,
            timestamp=str(int(time.time())),
            nonce=secrets.token_urlsafe(NONCE_BYTES),
            content_sha256=sha256,
        )
        return signed_headers(secret=secret, method=method, target=target, claim=claim)

    return sign


@asynccontextmanager
async def connected(url: str, sign: Sign | None = None) -> AsyncIterator[ServiceClient]:
    """A client of the service at `url`. Raises StoreUnavailable where there is none."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session:
        client = ServiceClient(session, url, sign)
        await client.check()
        yield client
