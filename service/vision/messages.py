"""Keeps what Pillow and the libraries below it say about odd photos out of the log: our own sentences say it."""

from __future__ import annotations

import ctypes
import logging
import warnings

from PIL import _imaging

_LIBTIFF_HANDLERS = ("TIFFSetErrorHandler", "TIFFSetErrorHandlerExt", "TIFFSetWarningHandler")


def silence() -> None:
    """For the whole process: no warnings and log records of the readers, and no lines of libtiff on standard error.

    They would come from any thread, without the request's id, and with what strangers put into a photo. A record of
    DEBUG even has who took it, when and where.
    """
    for module in ("PIL", "pi_heif"):
        warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
        logging.getLogger(module).setLevel(logging.CRITICAL + 1)
    libraries = ctypes.CDLL(_imaging.__file__)  # finds the functions of what Pillow is linked with, too
    for name in _LIBTIFF_HANDLERS:
        if hasattr(libraries, name):  # else Pillow was built without libtiff
            getattr(libraries, name)(None)
