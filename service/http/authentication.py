"""Lets only requests in that a known device has signed; what is refused never reaches the decoder or the models.

Every path asks for a signature but those of routes.OPEN_PATHS, also one that nobody has put into that table.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.devices import signatures
from service.devices.registry import ID, DeviceEntry, DeviceRegistry, Operation
from service.devices.replay import ReplayMemory
from service.devices.signatures import Claim
from service.errors import BadSignature, InvalidRequest, OperationDenied, Unauthenticated, UnknownDevice
from service.http import routes
from service.http.forms import FormLimits, read_form
from service.http.keys import DEVICE_ID, NAMED_DEVICE


def authenticate(
    devices: DeviceRegistry, memory: ReplayMemory, limits: FormLimits, clock: Callable[[], float]
) -> Middleware:
    """A middleware, inside the one that answers errors; `clock` gives Unix time in seconds.

    Its requests raise UnknownDevice, OperationDenied, BadSignature, RateExceeded or NoncesUnavailable, and what
    read_form raises. The nonce comes last, so that a request that failed, or that another altered, may still be sent.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if routes.is_open(request):
            return await handler(request)
        if routes.is_rest(request):
            raise Unauthenticated(
                "Where devices must sign (FACE_DEVICES), nobody may use /v1 yet; use the paths that devices have."
            )
        device = _device(request, devices)
        request[DEVICE_ID] = device.id
        claim, signature = signatures.read_claim(device.id, lambda name: request.headers.getall(name, []))
        signatures.verify(
            secrets=device.secrets,
            method=request.method,
            target=request.raw_path,
            claim=claim,
            signature=signature,
            now=clock(),
        )
        if request.match_info.http_exception is None:  # else there is no such path, which the handler says
            operation = _permitted(request, device)
            await memory.check_rate(device.id)
            await _check_content(request, operation, claim, limits)
            if not await memory.record(device_id=device.id, nonce=claim.nonce):
                raise BadSignature("X-Nonce was used before; sign each request with a new one.")
        return await handler(request)

    return middleware


def _device(request: web.Request, devices: DeviceRegistry) -> DeviceEntry:
    """The one device that the request names. Raises UnknownDevice."""
    named = request.headers.getall(signatures.DEVICE_ID, [])
    if named:
        request[NAMED_DEVICE] = named[0] if len(named) == 1 and ID.fullmatch(named[0]) else "?"
    if len(named) != 1:
        raise UnknownDevice(
            f"Requests must be signed by a device; send {signatures.DEVICE_ID} once, and the other headers."
        )
    device = devices.find(named[0])
    if device is None:
        raise UnknownDevice("This device is not known here; register its id with `python -m service devices add`.")
    if not device.enabled:
        raise UnknownDevice(f"The device {device.id} is disabled; ask the service's operator to enable it.")
    return device


def _permitted(request: web.Request, device: DeviceEntry) -> Operation:
    """What the request asks for. Raises OperationDenied where this device may not, or where no device may."""
    operation = routes.operation(request)
    if operation is None:
        raise OperationDenied("No device may use this path; see the API's document for those that it may.")
    if operation not in device.operations:
        raise OperationDenied(f"The device {device.id} may not {operation}; ask the service's operator to allow it.")
    return operation


async def _check_content(request: web.Request, operation: Operation, claim: Claim, limits: FormLimits) -> None:
    """Read the image, which must be the one that was signed; where there is none, its digest is that of nothing."""
    if routes.has_photo(request):
        form = await read_form(request, limits, claim.content_sha256)
        if operation == "register" and form.remark is not None and not request.query.get("remark"):
            raise InvalidRequest("A form's remark isn't signed; send the remark in the query (`?remark=…`).")
    elif claim.content_sha256.lower() != signatures.EMPTY_SHA256:
        raise BadSignature("X-Content-SHA256 must be the SHA-256 of the empty string where there is no image.")
