"""Reads a form of many photos, one after another as they arrive, each with what stands before it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from service.errors import FaceServiceError, ImageTooLarge, InvalidRequest, Overloaded, UnsupportedBody
from service.http.forms import (
    MALFORMED,
    MAX_FIELD,
    FormLimits,
    arriving,
    form_of,
    photo_in,
    receiving,
    too_large,
    too_long,
)
from service.http.keys import REMARK_CHARSET, UPLOAD
from service.http.multipart import FormReader
from service.http.part_contents import encoded_limit, photo_of, text_of
from service.http.part_heads import PartHead
from service.http.rest_api.bodies import IMAGE, Registration
from service.http.rest_api.fields import read_fields
from service.http.rest_api.queries import KeptFields
from service.http.uploads import Buffer, Upload

MAX_PHOTOS = 64
_TEXTS = frozenset(KeptFields.model_fields)
_MAX_TEXTS = len(_TEXTS) * MAX_PHOTOS
_REMARK = "remark"

Sent = Registration | FaceServiceError
"""A photo with what is to be kept beside its faces, or why it can't be used."""


class BatchForm:
    """The photos of a request, read when they are asked for.

    A remark holds for the photos behind it until another one comes, all else for the next photo only.
    """

    def __init__(self, form: FormReader, upload: Upload, limits: FormLimits, charset: str) -> None:
        """`charset` is that of texts which are not UTF-8 and don't name another."""
        self.photo_bytes = upload.buffer()
        """Of the photo that was given last, to be released once that isn't needed any more."""
        self._upload = upload
        self._form = form
        self._limits = limits
        self._charset = charset
        self._left = MAX_PHOTOS * limits.max_image_bytes + 2**20
        self._head: PartHead | None = None
        self._photos = self._text_parts = 0
        self._remark: str | InvalidRequest | None = None
        self._beside: dict[str, str | InvalidRequest] = {}

    @classmethod
    async def begin(cls, request: web.Request, limits: FormLimits) -> BatchForm:
        """Ask for the body. Raises UnsupportedBody or InvalidRequest."""
        if request.content_type != "multipart/form-data":
            raise UnsupportedBody("Send the photos as multipart/form-data, each as a part `image`.")
        form = form_of(request)
        async with receiving(request, limits, MALFORMED):
            return cls(form, request[UPLOAD], limits, request.app[REMARK_CHARSET])

    async def next(self) -> Sent | None:
        """The next photo, None where there is none.

        Raises InvalidRequest for a form that can't be used any further, also where a photo takes too long to arrive,
        and ImageTooLarge where all are too large together.
        """
        async with arriving(self._limits, MALFORMED):
            if not self._photos:
                self._head = await self._form.next()
            while self._head is not None:
                sent: Sent | None = None
                if self._head.name == IMAGE:
                    sent = await self._photo(self._head)
                else:
                    await self._take_text(self._head)
                self._head = await self._form.next()
                if sent is not None:
                    return sent
        if not self._photos:
            raise InvalidRequest("There is no photo; send each in a part `image`.")
        if self._beside:
            raise InvalidRequest("The form ends with a part that belongs to no photo; send it before its photo.")
        return None

    async def _photo(self, head: PartHead) -> Sent:
        if head.is_multipart:
            raise InvalidRequest("Send each photo itself in a part `image`, not a multipart body.")
        self._photos += 1
        if self._photos > MAX_PHOTOS:
            raise InvalidRequest(f"There are more than {MAX_PHOTOS} photos; send the others in another request.")
        self.photo_bytes = self._upload.buffer()
        content: bytes | Overloaded | None
        try:
            content = await self._read(self.photo_bytes, encoded_limit(self._limits.max_image_bytes))
        except Overloaded as error:
            content = error
            await self._read(None, 0)
        said: dict[str, str | InvalidRequest] = {**self._beside}
        if self._remark is not None:
            said[_REMARK] = self._remark
        self._beside = {}
        if isinstance(content, Overloaded):
            return content
        try:
            photo = photo_in(content or b"", head, self._limits.max_image_bytes)
            return _registration(photo, said) if content is not None else too_large(self._limits.max_image_bytes)
        except (InvalidRequest, ImageTooLarge) as error:
            return error

    async def _take_text(self, head: PartHead) -> None:
        name = head.name
        if name not in _TEXTS:
            raise InvalidRequest("There is a part that this operation doesn't have; /docs lists those that it has.")
        self._text_parts += 1
        if self._text_parts > _MAX_TEXTS:
            raise InvalidRequest(f"There are more than {_MAX_TEXTS} parts of text; send each once before its photo.")
        text: str | InvalidRequest
        try:
            text = self._text(name, head, await self._read(self._upload.buffer(), MAX_FIELD))
        except InvalidRequest as error:
            text = error
        if name == _REMARK:
            self._remark = text
        elif name in self._beside:
            self._beside[name] = InvalidRequest(f"The part `{name}` stands before the photo twice; send it once.")
        else:
            self._beside[name] = text

    def _text(self, name: str, head: PartHead, content: bytes | None) -> str:
        if content is None:
            raise too_long(name)
        plain = photo_of(content, is_base64=True) if head.is_base64 else content
        return text_of(plain, head.charset, self._charset, name=name)

    async def _read(self, read: Buffer | None, limit: int) -> bytes | None:
        """The part's bytes, None where there are more than `limit` or nobody wants them; these are passed over.

        Raises Overloaded where there is no room for them.
        """
        while chunk := await self._form.chunk():
            self._left -= len(chunk)
            if self._left < 0:
                raise ImageTooLarge("The photos are too large together; send fewer in a request.")
            if read is not None:
                read.add(chunk)
                if len(read) > limit:
                    read.release()
                    read = None
        return None if read is None else read.take()


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
