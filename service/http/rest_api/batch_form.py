"""Reads a form of many photos, one after another as they arrive, each with what stands before it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import BodyPartReader, MultipartReader, web

from service.errors import FaceServiceError, ImageTooLarge, InvalidRequest, UnsupportedBody
from service.http.forms import MAX_FIELD, FormLimits, arriving, multipart_of, send_continue, text_of_part, too_large
from service.http.rest_api.bodies import IMAGE, Registration
from service.http.rest_api.fields import read_fields
from service.http.rest_api.queries import KeptFields

MAX_PHOTOS = 64
_TEXTS = frozenset(KeptFields.model_fields)
_MAX_TEXTS = len(_TEXTS) * MAX_PHOTOS
_REMARK = "remark"
_CHUNK = 64 * 1024
_MALFORMED = "The multipart body is malformed; check its boundary and that it is complete."

Sent = Registration | FaceServiceError
"""A photo with what is to be kept beside its faces, or why it can't be used."""


class BatchForm:
    """The photos of a request, read when they are asked for.

    A remark holds for the photos behind it until another one comes, all else for the next photo only.
    """

    def __init__(self, parts: MultipartReader, limits: FormLimits) -> None:
        self._parts = parts
        self._limits = limits
        self._left = MAX_PHOTOS * limits.max_image_bytes + 2**20
        self._part: BodyPartReader | MultipartReader | None = None
        self._photos = self._text_parts = 0
        self._remark: str | InvalidRequest | None = None
        self._beside: dict[str, str | InvalidRequest] = {}

    @classmethod
    async def begin(cls, request: web.Request, limits: FormLimits) -> BatchForm:
        """Ask for the body. Raises UnsupportedBody or InvalidRequest."""
        if request.content_type != "multipart/form-data":
            raise UnsupportedBody("Send the photos as multipart/form-data, each as a part `image`.")
        await send_continue(request)
        async with arriving(limits, _MALFORMED):
            return cls(multipart_of(request), limits)

    async def next(self) -> Sent | None:
        """The next photo, None where there is none.

        Raises InvalidRequest for a form that can't be used any further, also where a photo takes too long to arrive,
        and ImageTooLarge where all are too large together.
        """
        async with arriving(self._limits, _MALFORMED):
            if not self._photos:
                self._part = await self._parts.next()
            while self._part is not None:
                if not isinstance(self._part, BodyPartReader):
                    raise InvalidRequest("Send each photo itself in a part `image`, not a multipart body.")
                sent: Sent | None = None
                if self._part.name == IMAGE:
                    sent = await self._photo(self._part)
                else:
                    await self._take_text(self._part)
                self._part = await self._parts.next()  # a photo without a boundary behind it may be half of one
                if sent is not None:
                    return sent
        if not self._photos:
            raise InvalidRequest("There is no photo; send each in a part `image`.")
        if self._beside:
            raise InvalidRequest("The form ends with a part that belongs to no photo; send it before its photo.")
        return None

    async def _photo(self, part: BodyPartReader) -> Sent:
        self._photos += 1
        if self._photos > MAX_PHOTOS:
            raise InvalidRequest(f"There are more than {MAX_PHOTOS} photos; send the others in another request.")
        content = await self._read(part, self._limits.max_image_bytes)
        said: dict[str, str | InvalidRequest] = {**self._beside}
        if self._remark is not None:
            said[_REMARK] = self._remark
        self._beside = {}
        if content is None:
            return too_large(self._limits.max_image_bytes)
        try:
            return _registration(content, said)
        except InvalidRequest as error:
            return error

    async def _take_text(self, part: BodyPartReader) -> None:
        name = part.name
        if name not in _TEXTS:
            raise InvalidRequest("There is a part that this operation doesn't have; /docs lists those that it has.")
        self._text_parts += 1
        if self._text_parts > _MAX_TEXTS:
            raise InvalidRequest(f"There are more than {_MAX_TEXTS} parts of text; send each once before its photo.")
        text: str | InvalidRequest
        try:
            text = text_of_part(name, await self._read(part, MAX_FIELD))
        except InvalidRequest as error:
            text = error
        if name == _REMARK:
            self._remark = text
        elif name in self._beside:
            self._beside[name] = InvalidRequest(f"The part `{name}` stands before the photo twice; send it once.")
        else:
            self._beside[name] = text

    async def _read(self, part: BodyPartReader, limit: int) -> bytes | None:
        """The part's bytes, None where there are more than `limit`; then they are passed over."""
        read: bytearray | None = bytearray()
        while chunk := await part.read_chunk(_CHUNK):
            self._left -= len(chunk)
            if self._left < 0:
                raise ImageTooLarge("The photos are too large together; send fewer in a request.")
            if read is not None:
                read += chunk
                if len(read) > limit:
                    read = None
        return None if read is None else bytes(read)


def _registration(photo: bytes, said: Mapping[str, str | InvalidRequest]) -> Registration:
    """Raises InvalidRequest."""
    for text in said.values():
        if isinstance(text, InvalidRequest):
            raise text
    if not photo:
        raise InvalidRequest("The part `image` is empty; send the photo in it.")
    fields = read_fields(said, KeptFields, "part")
    if fields.remark is None:
        raise InvalidRequest("There is no remark; send it in a part before the photo.")
    return Registration(photo=photo, remark=fields.remark, metadata=fields.metadata, expires_at=fields.expires_at)
