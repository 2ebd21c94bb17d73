"""The console for operators at `/`: its files, served from the package under a policy that lets no other script run."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import ETag, web

from service.http import routes

PAGE = "index.html"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""By the end of a file's name."""

POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' blob: data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",  # no text can become HTML, whoever wrote the remark
    "trusted-types 'none'",
)

HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",  # asked for each time, and answered 304 while the program is the same
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the console; `tag` is its entity tag."""

    body: bytes
    media_type: str
    tag: str


def console_routes() -> list[web.RouteDef]:
    """The page and its files. They hold no secrets: what they show, they ask /v1 for, with the operator's key."""
    known = static_files()
    return [
        web.get(routes.CONSOLE, _show(known.pop(PAGE)), allow_head=False),
        web.get(routes.CONSOLE_FILE, _show_named(known), allow_head=False),
    ]


def static_files() -> dict[str, StaticFile]:
    """Every file of the console by its path below the folder, such as `words/en.js`."""
    folder = files("service.http.console").joinpath("static")
    return {name: _read(each) for name, each in _below(folder)}


def _below(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _below(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each


def _read(file: Traversable) -> StaticFile:
    body = file.read_bytes()
    media_type = TYPES[f".{file.name.rpartition('.')[2]}"]
    return StaticFile(body, media_type, hashlib.sha256(body).hexdigest()[:32])


def _show(file: StaticFile) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def show(request: web.Request) -> web.Response:
        return _answer(request, file)

    return show


def _show_named(known: dict[str, StaticFile]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def show(request: web.Request) -> web.Response:
        file = known.get(request.match_info["file"])
        if file is None:
            raise web.HTTPNotFound
        return _answer(request, file)

    return show


def _answer(request: web.Request, file: StaticFile) -> web.Response:
    if any(each.value in {file.tag, "*"} for each in request.if_none_match or ()):
        response = web.Response(status=304, headers=HEADERS)
    else:
        response = web.Response(body=file.body, content_type=file.media_type, charset="utf-8", headers=HEADERS)
    response.etag = ETag(file.tag)
    return response
