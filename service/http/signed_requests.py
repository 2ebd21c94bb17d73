"""Requests that devices sign: what is refused never reaches the decoder or the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from service.devices import signatures
from service.devices.operations import OperationWord
from service.devices.registry import ID, DeviceEntry, DeviceRegistry
from service.devices.replay import ReplayMemory
from service.devices.signatures import Claim
from service.errors import BadSignature, InvalidRequest, UnknownDevice
from service.http import routes
from service.http.callers import Caller, count_for
from service.http.forms import FormLimits, read_form
from service.http.keys import DEVICE_ID, NAMED_CALLER
from service.http.signed_bodies import read_signed_body


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """Knows the devices, what they have sent lately, and Unix time in seconds.

    `note_use` is told of each device that was let in, and of the secret that it used.
    """

    devices: DeviceRegistry
    memory: ReplayMemory
    limits: FormLimits
    clock: Callable[[], float]
    note_use: Callable[[str, str], None] = lambda _device_id, _secret: None

    async def admit(self, request: web.Request, permit: Callable[[Caller], OperationWord | None]) -> Caller:
        """The device that signed the request; `permit` says what it asks for, None where there is no such path.

        Raises UnknownDevice, BadSignature, RateExceeded, NoncesUnavailable, what `permit` raises and what read_form and
        read_signed_body raise. The nonce comes last, so that a request that failed, or that another altered, may still
        be sent.
        """
        device = _device(request, self.devices)
        request[DEVICE_ID] = device.id
        claim, signature = signatures.read_claim(device.id, lambda name: request.headers.getall(name, []))
        secret = signatures.verify(
            secrets=device.secrets,
            method=request.method,
            target=request.raw_path,
            claim=claim,
            signature=signature,
            now=self.clock(),
        )
        count_for(request, f"device:{device.id}")
        caller = Caller(
            name=device.id,
            operations=device.operations,
            galleries=frozenset({device.gallery}),
            gallery=device.gallery,
        )
        operation = permit(caller)
        if operation is not None:
            await self.memory.check_rate(device.id)
            await self._check_content(request, operation, claim)
            if not await self.memory.record(device_id=device.id, nonce=claim.nonce):
                raise BadSignature("X-Nonce was used before; sign each request with a new one.")
            self.note_use(device.id, secret)
        return caller

    async def _check_content(self, request: web.Request, operation: OperationWord, claim: Claim) -> None:
        """Read the image or, below /v1, the body, which must be the one that was signed."""
        if routes.is_rest(request):
            await read_signed_body(request, self.limits, claim.content_sha256)
        elif routes.has_photo(request):
            form = await read_form(request, self.limits, claim.content_sha256)
            if operation == "register" and form.remark is not None and not request.query.get("remark"):
                raise InvalidRequest("A form's remark isn't signed; send the remark in the query (`?remark=…`).")
        elif claim.content_sha256.lower() != signatures.EMPTY_SHA256:
            raise BadSignature("X-Content-SHA256 must be the SHA-256 of the empty string where there is no image.")


def _device(request: web.Request, devices: DeviceRegistry) -> DeviceEntry:
    """The one device that the request names. Raises UnknownDevice."""
    named = request.headers.getall(signatures.DEVICE_ID)
    request[NAMED_CALLER] = named[0] if len(named) == 1 and ID.fullmatch(named[0]) else "?"
    if len(named) != 1:
        raise UnknownDevice(f"Two devices can't send one request; send {signatures.DEVICE_ID} once.")
    device = devices.find(named[0])
    if device is None:
        raise UnknownDevice("This device is not known here; register its id with `python -m service devices add`.")
    if not device.enabled:
        raise UnknownDevice(f"The device {device.id} is disabled; ask the service's operator to enable it.")
    return device
