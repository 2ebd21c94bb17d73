"""What the commands on files of devices and of keys share: one change at a time, and where a secret is shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit

from service.devices.entries import GALLERY, Kind, read_entries
from service.errors import FaceServiceError
from service.files import locked, replace_file

Edit = Callable[[tomlkit.TOMLDocument, argparse.Namespace], str | None]
"""Changes the document as the options say, and returns the secret that it made, if it made one."""


def run_command(
    options: argparse.Namespace, path: Path | None, kind: Kind[Any], *, show: Callable[[Path], None], edit: Edit
) -> int:
    """Do what a command's options ask for to the file at `path`; the exit status, 1 where that isn't possible."""
    try:
        if path is None:
            variable = f"FACE_{kind.noun.upper()}S"
            raise kind.error(f"Set {variable} to the file of {kind.noun}s, for example {variable}={kind.noun}s.toml.")
        if options.action == "list":
            show(path)
        else:
            _change(path, options, kind, edit)
    except FaceServiceError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or path
        print(f"{where} can't be written ({error.strerror}); nothing was changed.", file=sys.stderr)
        return 1
    return 0


def _change(path: Path, options: argparse.Namespace, kind: Kind[Any], edit: Edit) -> None:
    """Carry out one change, and show the secret that it made once it is on the disk."""
    path = path.resolve()  # what a link points to is replaced, not the link
    path.parent.mkdir(parents=True, exist_ok=True)
    with _shown(getattr(options, "secret_out", None), kind, options.id) as show, locked(path.parent):
        new = options.action == "add" and not path.exists()
        if not new:
            read_entries(path, kind)  # nothing is built on a file that can't be used
        document = tomlkit.document() if new else tomlkit.parse(path.read_text("utf-8"))
        secret = edit(document, options)
        # A new file is its owner's alone; nothing takes the old one's place that isn't a good file.
        replace_file(
            path, tomlkit.dumps(document), new_mode=0o600, check=lambda draft: read_entries(draft, kind) and None
        )
        show(secret)
    if secret is None:
        print(f"Done; a running service takes {path} up within two seconds.", file=sys.stderr)


@contextmanager
def _shown(secret_out: Path | None, kind: Kind[Any], name: str) -> Iterator[Callable[[str | None], None]]:
    """What shows a secret: on standard output, or in a new file of its owner's, made before anything is changed."""
    if secret_out is None:

        def to_standard_output(secret: str | None) -> None:
            if secret is not None:
                what = "The key" if kind.noun == "key" else "The secret of"
                print(f"{what} {name}, shown only this once:", file=sys.stderr, flush=True)
                print(secret, flush=True)

        yield to_standard_output
        return
    with os.fdopen(os.open(secret_out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        written = False

        def to_file(secret: str | None) -> None:
            nonlocal written
            if secret is not None:
                file.write(f"{secret}\n")
                file.flush()
                os.fsync(file.fileno())
                written = True
                print(f"The secret of {name} is in {secret_out}, and nowhere else.", file=sys.stderr)

        try:
            yield to_file
        finally:
            if not written:
                secret_out.unlink(missing_ok=True)


def add_secret_out(parser: argparse.ArgumentParser) -> None:
    """Give a command that makes a secret the option to keep it off the terminal."""
    parser.add_argument(
        "--secret-out", type=Path, metavar="FILE", help="write it into this new file of mode 0600, not to the terminal"
    )


def list_of(allowed: Collection[str]) -> Callable[[str], list[str]]:
    """The type of an option that takes some of these words with commas between; it gives them in their own order."""

    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if not set(chosen) <= set(allowed):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of some of {','.join(allowed)}")
        return [each for each in allowed if each in chosen]

    return parse


def gallery_name(text: str) -> str:
    """The type of an option that takes a gallery's name."""
    if not GALLERY.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a gallery's name: 1 to 64 of a-z, 0-9, `_` and `-`, first a letter or digit"
        )
    return text


def gallery_names(text: str) -> list[str]:
    """The type of an option that takes names of galleries with commas between."""
    return list(dict.fromkeys(map(gallery_name, text.split(","))))


def entry_of(document: tomlkit.TOMLDocument, name: str, kind: Kind[Any]) -> Any:
    """The table of one entry. Raises the kind's error where there is none."""
    if name not in document:
        command = f"python -m service {kind.noun}s list"
        raise kind.error(f"There is no {kind.noun} {name}; `{command}` shows them.")
    return document[name]


def set_enabled(kind: Kind[Any]) -> Edit:
    """The edit of `enable` and `disable`."""

    def edit(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> None:
        entry_of(document, options.id, kind)["enabled"] = options.action == "enable"

    return edit


def remove_entry(kind: Kind[Any]) -> Edit:
    """The edit of `remove`. The only entry stays: a file of none would let nobody in, and is no good file."""

    def edit(document: tomlkit.TOMLDocument, options: argparse.Namespace) -> None:
        entry_of(document, options.id, kind)
        if len(document) == 1:
            variable = f"FACE_{kind.noun.upper()}S"
            raise kind.error(
                f"{options.id} is the only {kind.noun}; disable it, or unset {variable} and delete the file."
            )
        document.remove(options.id)

    return edit


def tell_what_is_granted(options: argparse.Namespace, kind: Kind[Any], operations: Collection[str]) -> None:
    """Say what an entry may do that was added without saying what."""
    if options.action == "add" and options.operations is None:
        print(
            f"WARNING: the {kind.noun} {options.id} may do everything ({', '.join(operations)}), as --operations "
            "wasn't given. Name what it needs, as in --operations recognise.",
            file=sys.stderr,
        )


def printable(note: str) -> str:
    """A note on one line of a terminal."""
    return "".join(each if each.isprintable() else "?" for each in note)
