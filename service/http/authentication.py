"""Lets only requests in that a known device has signed; what is refused never reaches the decoder or the models.

Every path is locked but those of OPEN, also one that another room adds and that no device may use yet.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.devices import signatures
from service.devices.rates import Rates
from service.devices.registry import DeviceEntry, DeviceRegistry
from service.devices.replay import Nonces
from service.devices.signatures import Claim
from service.errors import BadSignature, OperationDenied, UnknownDevice
from service.http.device_api import DEVICE_ID, operation
from service.http.forms import BadForm, FormLimits, read_form

OPEN = {"/healthz", "/readyz", "/metrics"}
"""What machines ask that can't sign: alive, ready, and counts and times that name no face, device or remark."""
_WITH_IMAGE = {"register", "recognise"}


def authenticate(
    devices: DeviceRegistry, nonces: Nonces, rates: Rates, limits: FormLimits, clock: Callable[[], float]
) -> Middleware:
    """The lock, as a middleware inside the one that answers errors; `clock` gives Unix time in seconds.

    Its requests raise UnknownDevice, OperationDenied, BadSignature, RateExceeded or NoncesUnavailable, and what
    read_form raises. The nonce comes last, so that a request that failed, or that another altered, may still be sent.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_open(request):
            return await handler(request)
        device = _device(request, devices)
        request[DEVICE_ID] = device.id
        claim, signature = signatures.read_claim(device.id, lambda name: request.headers.getall(name, []))
        signatures.verify(device.secrets, request.method, request.raw_path, claim, signature, clock())
        if request.match_info.http_exception is None:  # else there is no such path, which the handler says
            wanted = _permitted(request, device)
            rates.check(device.id)
            await _check_content(request, wanted, claim, limits)
            rates.check(device.id)  # others may have been let in while the image came
            if not await nonces.record(device.id, claim.nonce):
                raise BadSignature("X-Nonce was used before; sign each request with a new one.")
            rates.count(device.id)
        return await handler(request)

    return middleware


def _is_open(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in OPEN


def _device(request: web.Request, devices: DeviceRegistry) -> DeviceEntry:
    """The one device that the request names. Raises UnknownDevice."""
    named = request.headers.getall(signatures.DEVICE_ID, [])
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


def _permitted(request: web.Request, device: DeviceEntry) -> str:
    """What the request asks for. Raises OperationDenied where this device may not, or where no device may."""
    wanted = operation(request)
    if wanted is None:
        raise OperationDenied("No device may use this path; see the API's document for those that it may.")
    if wanted not in device.operations:
        raise OperationDenied(f"The device {device.id} may not {wanted}; ask the service's operator to allow it.")
    return wanted


async def _check_content(request: web.Request, wanted: str, claim: Claim, limits: FormLimits) -> None:
    """Read the image, which must be the one that was signed; where there is none, its digest is that of nothing."""
    if wanted in _WITH_IMAGE:
        form = await read_form(request, limits, claim.content_sha256)
        if wanted == "register" and form.remark is not None and "remark" not in request.query:
            raise BadForm("A form's remark isn't signed; send the remark in the query (`?remark=…`).")
    elif claim.content_sha256.lower() != signatures.EMPTY_SHA256:
        raise BadSignature("X-Content-SHA256 must be the SHA-256 of the empty string where there is no image.")
