"""Lets only requests in that a known device has signed, or that bring a key; each only for what its caller may do.

Every path asks who is there but those of routes.is_open, also one that nobody has put into a table.
"""

from __future__ import annotations

import re
from dataclasses import replace

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.devices import signatures
from service.devices.keys import KEY, KeyRegistry
from service.devices.operations import OperationWord
from service.errors import OperationDenied, Unauthenticated, UnknownDevice, UnknownKey
from service.http import routes
from service.http.callers import ANYBODY, Caller, count_for
from service.http.keys import CALLER, COMPREFACE, NAMED_CALLER
from service.http.rest_api.table import NEEDS
from service.http.signed_requests import SignatureCheck

_BEARER = re.compile(rf"bearer +({KEY.pattern}) *", re.IGNORECASE)


@web.middleware
async def admit_anybody(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A middleware where nobody must say who they are."""
    request[CALLER] = ANYBODY
    return await handler(request)


def authenticate(devices: SignatureCheck | None, keys: KeyRegistry | None) -> Middleware:
    """A middleware, inside the one that answers errors; without devices, or without keys, nobody comes in that way.

    A request that names a device is that device's, whatever else it brings; CompreFace's API takes keys only. Raises
    Unauthenticated, what SignatureCheck.admit raises, and OperationDenied.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not routes.is_open(request):
            request[CALLER] = await _caller(request, devices, keys)
        return await handler(request)

    return middleware


async def _caller(request: web.Request, devices: SignatureCheck | None, keys: KeyRegistry | None) -> Caller:
    if routes.is_compreface(request):
        caller = _in_own_gallery(_compreface_holder(request, keys))
        _permitted(request, caller)
        return caller
    if devices is not None and signatures.DEVICE_ID in request.headers:
        return await devices.admit(request, lambda device: _permitted(request, device))
    if keys is not None and "Authorization" in request.headers:
        caller = _holder(request, keys)
        _permitted(request, caller)
        return caller
    if keys is None or (devices is not None and not routes.is_rest(request)):
        raise UnknownDevice(
            f"Requests must be signed by a device; send {signatures.DEVICE_ID} once, and the other headers."
        )
    or_sign = "" if devices is None else ", or sign as a device"
    raise Unauthenticated(f"Say who asks: send a key in the header `Authorization: Bearer KEY`{or_sign}.")


def _holder(request: web.Request, keys: KeyRegistry) -> Caller:
    """Whose key the request brings. Raises UnknownKey, which never quotes what came."""
    sent = request.headers.getall("Authorization")
    presented = _BEARER.fullmatch(sent[0]) if len(sent) == 1 else None
    if presented is None:
        raise UnknownKey("This is no key; send it once, in the header `Authorization: Bearer KEY`.")
    return _known(request, keys, presented[1])


def _compreface_holder(request: web.Request, keys: KeyRegistry | None) -> Caller:
    """Whose key a client of CompreFace's API brings: in the path of a picture, else in a header of its own."""
    in_path = request.match_info.get("api_key")
    sent = [in_path] if in_path is not None else request.headers.getall(routes.API_KEY, [])
    if keys is None or not sent:
        raise Unauthenticated(
            f"Say who asks: send a key of the file FACE_KEYS in the header {routes.API_KEY}; see docs/compreface.md."
        )
    if len(sent) > 1 or not KEY.fullmatch(sent[0]):
        raise UnknownKey(f"This is no key; send it once, in the header {routes.API_KEY}.")
    return _known(request, keys, sent[0])


def _in_own_gallery(caller: Caller) -> Caller:
    """The caller, whose requests are about the one gallery that its key is limited to, if that is one only."""
    if caller.galleries is None or len(caller.galleries) != 1:
        return caller
    return replace(caller, gallery=next(iter(caller.galleries)))


def _known(request: web.Request, keys: KeyRegistry, presented: str) -> Caller:
    """Whose key it is. Raises UnknownKey."""
    key = keys.find(presented)
    if key is None:
        raise UnknownKey("This key is not known here; ask the service's operator for another one.")
    name = f"key:{key.name}"
    request[NAMED_CALLER] = name
    if not key.enabled:
        raise UnknownKey(f"{name} is disabled; ask the service's operator to enable it.")
    count_for(request, name)
    return Caller(name=name, operations=key.operations, galleries=key.galleries)


def needed_by(request: web.Request) -> OperationWord | None:
    """What a caller must be allowed to do for a request; None where it isn't in the tables."""
    asked = request.method, routes.path_of(request)
    needed = routes.operation(request) or NEEDS.get(asked)
    if needed is not None or not request.app[COMPREFACE]:
        return needed
    from service.http.compreface import table  # only where it is switched on, for it takes time to import

    return table.NEEDS.get(asked)


def _permitted(request: web.Request, caller: Caller) -> OperationWord | None:
    """What the request asks for; None where there is no such path, which its handler says.

    Raises OperationDenied where this caller may not, or where nobody may.
    """
    if request.match_info.http_exception is not None:
        return None
    operation = needed_by(request)
    if operation is None:
        raise OperationDenied("Nobody may use this path; see the API's document for those that one may.")
    if operation not in caller.operations:
        raise OperationDenied(f"{caller.name} may not {operation}; ask the service's operator to allow it.")
    return operation
