"""Asks a running service about whole galleries, with an operator's key, and tells its problems in its own words."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from service.errors import FaceServiceError, InvalidSettings, StoreUnavailable

CONNECT_LIMIT_S = 30.0
SILENCE_LIMIT_S = 300.0
"""A service that sends nothing for so long is given up; it counts faces and writes the last batch meanwhile."""
MAX_LINE_BYTES = 64 * 2**20
"""As the archive reader has it."""


def service_options(parser: argparse.ArgumentParser) -> None:
    """The options of commands that work through a running service as well."""
    parser.add_argument("--service", metavar="URL", help="work through the service that runs there")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="with --service: the file of an operator's key")
    parser.add_argument(
        "--gallery", metavar="NAME", help="with --service: one gallery, instead of all that the key may use"
    )


def check_options(arguments: argparse.Namespace) -> None:
    """Raise InvalidSettings for options that want --service where it is missing."""
    if not arguments.service and (arguments.key_file or arguments.gallery):
        raise InvalidSettings("--key-file and --gallery go with --service; name the service, or leave them out.")


class ServiceAccess:
    """A running service. Every method raises StoreUnavailable where it can't be reached or is none.

    And the exception that a problem of its /v1 stands for, with the problem's own sentence.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    @property
    def url(self) -> str:
        """Where it listens, without a slash at its end."""
        return self._url

    async def get(
        self, path: str, gallery: str | None = None, query: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, Any]:
        """The JSON object that GET answers; the path is percent-encoded."""
        return await self._ask("GET", path, gallery, query=query)

    async def delete(
        self, path: str, gallery: str | None = None, query: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, Any]:
        """The JSON object that DELETE answers, an empty one for an answer without content."""
        return await self._ask("DELETE", path, gallery, query=query)

    def required(self, answer: Mapping[str, Any], member: str, kind: type) -> Any:
        """A member of an answer. Raises StoreUnavailable where it isn't there, or of another kind."""
        value = answer.get(member)
        if not isinstance(value, kind):
            raise self._foreign()
        return value

    async def send(self, path: str, gallery: str | None, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
        """The JSON object that POST answers to a body that is sent as it comes."""
        return await self._ask("POST", path, gallery, data=chunks, headers={"Content-Type": "application/x-ndjson"})

    async def lines(self, path: str, gallery: str | None) -> AsyncGenerator[bytes]:
        """The lines that GET answers as they come, each with its newline; half a last one is left out."""
        async with self._answer("GET", path, gallery) as response:
            rest = bytearray()
            async for chunk in response.content.iter_any():
                *whole, last = chunk.split(b"\n")
                for line in whole:
                    yield bytes(rest + line) + b"\n"
                    rest.clear()
                rest += last
                if len(rest) > MAX_LINE_BYTES:
                    raise self._foreign()

    async def _ask(self, method: str, path: str, gallery: str | None, **options: Any) -> dict[str, Any]:
        async with self._answer(method, path, gallery, **options) as response:
            try:
                answer = {} if response.status == HTTPStatus.NO_CONTENT else json.loads(await response.read())
            except ValueError:
                answer = None
        if not isinstance(answer, dict):
            raise self._foreign()
        return answer

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        gallery: str | None,
        query: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        asked = {**query, **({} if gallery is None else {"gallery": gallery})}
        target = f"{self._url}{path}{'?' if asked else ''}{urlencode(asked, quote_via=quote)}"
        try:
            # As it is: a remark may be `..` or have a slash.
            async with self._session.request(method, URL(target, encoded=True), **options) as response:
                if not response.ok:
                    raise self._problem(await response.read())
                yield response
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise InvalidSettings(f"--service {self._url} is no address; write http://HOST:PORT.") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreUnavailable(
                f"The service at {self._url} can't be reached or broke off ({error}); run the command again."
            ) from None

    def _problem(self, body: bytes) -> FaceServiceError:
        try:
            told = json.loads(body)
            code, detail = str(told["code"]), str(told["detail"])
        except (ValueError, TypeError, KeyError):
            return self._foreign()
        return _kinds(FaceServiceError).get(code, StoreUnavailable)(f"The service at {self._url} says: {detail}")

    def _foreign(self) -> StoreUnavailable:
        return StoreUnavailable(f"What answers at {self._url} is no face service with /v1; correct --service.")


@asynccontextmanager
async def connected(url: str, key_file: Path | None) -> AsyncGenerator[ServiceAccess]:
    """A service, asked with the key in that file. Raises InvalidSettings where the file holds none."""
    headers = {} if key_file is None else {"Authorization": f"Bearer {_key(key_file)}"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_S, sock_read=SILENCE_LIMIT_S)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield ServiceAccess(session, url)


def _key(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"--key-file {path} can't be read ({error}); name the file of the key.") from None
    if not key or not key.isprintable() or " " in key:
        raise InvalidSettings(f"--key-file {path} holds no key; it has one line, the key.")
    return key


def _kinds(of: type[FaceServiceError]) -> dict[str, type[FaceServiceError]]:
    """Every class of exceptions by its code."""
    found = {of.code: of}
    for each in of.__subclasses__():
        found |= _kinds(each)
    return found
