"""Log lines for people (one line, aligned) or for programs (JSON), both from the same records."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

_REQUEST_FIELDS = ("request_id", "method", "route", "code", "device_id")


class TextFormatter(logging.Formatter):
    """`2026-11-23 10:00:00 INFO …`; a request's fields and milliseconds follow its message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        fields = [str(getattr(record, name)) for name in _REQUEST_FIELDS if hasattr(record, name)]
        took = [f"{stage}={ms}ms" for stage, ms in getattr(record, "ms", {}).items()]
        return " ".join([super().formatMessage(record), *fields, *took])


class MalformedRequests(logging.Filter):
    """One line instead of a traceback for what isn't HTTP; the traceback would also quote what was sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if type(error).__module__ == "aiohttp.http_exceptions" or type(error).__name__ == "RequestPayloadError":
            record.msg, record.args = "A request could not be read (%s).", (type(error).__name__,)
            record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
        return True


def configure(log_format: str, level: str) -> None:
    """Send every record of `level` and above to standard error, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("{asctime}{levelname}{name}{message}", style="{", rename_fields=names))
    else:
        handler.setFormatter(TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("aiohttp.server").addFilter(MalformedRequests())
