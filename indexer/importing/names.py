"""What the names of files and folders say: their bytes are UTF-8, or what --encoding says."""

from __future__ import annotations

import os
from dataclasses import dataclass

UTF8 = "utf-8"


class UnreadableName(ValueError):
    """A name that isn't of the encoding; the message says so, and what helps."""


@dataclass(frozen=True, slots=True)
class Names:
    """Reads names of one encoding, one of those that Python knows."""

    encoding: str = UTF8

    def text(self, name: str, of: str) -> str:
        """A name as people read it, from Python's, where bytes that aren't UTF-8 are lone surrogates.

        `of` says whose name it is. Raises UnreadableName.
        """
        try:
            text = os.fsencode(name).decode(self.encoding)
        except UnicodeError:
            text = name
        if not is_text(text):
            raise UnreadableName(not_of(self.encoding, of))
        return text

    def root(self, name: str) -> str:
        """The name of the folder that a person named: most likely UTF-8, whatever is in it. Raises UnreadableName."""
        return name if is_text(name) else self.text(name, "The name of its folder")

    def shown(self, path: str) -> str:
        """A path for a person to read on a terminal, whatever bytes it has."""
        return printable(os.fsencode(path).decode(self.encoding, "replace"))


def printable(text: str) -> str:
    """What does nothing to a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def is_text(name: str) -> bool:
    """Whether it has no lone surrogates, as Python has for bytes that it couldn't read."""
    try:
        name.encode()
    except UnicodeError:
        return False
    return True


def not_of(encoding: str, what: str) -> str:
    """The sentence that `what` can't be read, and what to do."""
    if encoding == UTF8:
        return f"{what} isn't UTF-8; say what it is written in, as with --encoding gbk."
    return f"{what} isn't {encoding}; correct --encoding, or what is written there."


def known_encoding(name: str) -> str:
    """The encoding as Python calls it. Raises ValueError unless it is one for text."""
    try:
        if "path".encode(name).decode(name) != "path":
            raise ValueError(name)
    except (LookupError, ValueError):
        raise ValueError(
            f"{name!r} is no encoding of text that Python knows; gbk, gb18030, big5, shift_jis and euc_kr are some"
        ) from None
    return UTF8 if name.lower() in ("utf8", "utf-8", "utf_8", "utf-8-sig", "utf_8_sig") else name.lower()
