"""The bytes of photos that requests have in memory: bounded over all of them, shared fairly, and surely given back.

What arrives is kept in buffers of this module and nowhere else until it is whole. They are emptied as the request ends:
its exceptions and tasks often form cycles, which Python would free much later, photos and all.
"""

from __future__ import annotations

from service.errors import Overloaded


class Uploads:
    """Counts the bytes by who sends them.

    Nobody may hold more than is left for others, so that some is left whoever comes. A request alone may always be
    received: what a single one may have is limited elsewhere.
    """

    def __init__(self, max_bytes: int) -> None:
        """At most `max_bytes` of all requests."""
        self.refused = 0
        """Requests that found no room."""
        self._max_bytes = max_bytes
        self._held = 0
        self._by_caller: dict[str, int] = {}

    @property
    def held_bytes(self) -> int:
        """Of all requests now."""
        return self._held

    def begin(self, caller: str) -> Upload:
        """The upload of a request of that caller; it must be ended."""
        return Upload(self, caller)

    def add(self, caller: str, count: int, *, held_by_request: int) -> None:
        """Count bytes of a request that holds so many already. Raises Overloaded where there is no room for more."""
        own = self._by_caller.get(caller, 0)
        alone = self._held == held_by_request
        only_one = own == held_by_request
        left = self._max_bytes - self._held - count
        if not alone and (left < 0 or (own + count > left and not only_one)):
            self.refused += 1
            raise Overloaded("The service is busy: too much is being sent at once; try again in 1 s.")
        self._by_caller[caller] = own + count
        self._held += count

    def remove(self, caller: str, count: int) -> None:
        """Bytes that are in memory no more."""
        self._held -= count
        left = self._by_caller.get(caller, 0) - count
        if left:
            self._by_caller[caller] = left
        else:
            self._by_caller.pop(caller, None)


class Upload:
    """What one request holds."""

    def __init__(self, uploads: Uploads, caller: str) -> None:
        self.caller = caller
        """Whoever it is counted for; may change as long as nothing has come."""
        self._uploads = uploads
        self._buffers: list[Buffer] = []
        self._held = 0

    def buffer(self) -> Buffer:
        """A new one for what is to come."""
        buffer = Buffer(self)
        self._buffers.append(buffer)
        return buffer

    def add(self, count: int) -> None:
        """Raises Overloaded."""
        self._uploads.add(self.caller, count, held_by_request=self._held)
        self._held += count

    def remove(self, buffer: Buffer) -> None:
        """Forget a buffer and what it counted."""
        if buffer in self._buffers:
            self._buffers.remove(buffer)
            self._held -= buffer.counted
            self._uploads.remove(self.caller, buffer.counted)

    def end(self) -> None:
        """Empty all buffers; nothing is held any more."""
        for each in list(self._buffers):
            each.release()


class Buffer:
    """Bytes as they come. What was taken out of it counts on until `release`, for it is still in memory."""

    def __init__(self, upload: Upload) -> None:
        self.counted = 0
        self._upload = upload
        self._content = bytearray()

    def __len__(self) -> int:
        """How many bytes have come and were not taken."""
        return len(self._content)

    def add(self, chunk: bytes) -> None:
        """Raises Overloaded where there is no room for it."""
        self._upload.add(len(chunk))
        self.counted += len(chunk)
        self._content += chunk

    def begin(self, length: int) -> bytes:
        """The first bytes, up to that many."""
        return bytes(self._content[:length])

    def take(self) -> bytes:
        """All of them."""
        content = bytes(self._content)
        self._content = bytearray()
        return content

    def release(self) -> None:
        """They are needed no more."""
        self._content = bytearray()
        self._upload.remove(self)
