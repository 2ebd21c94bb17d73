"""Log lines for people (one line, aligned) or for programs (JSON), both from the same records."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter

_REQUEST_FIELDS = ("request_id", "method", "route", "code", "reason", "client", "device_id")


class TextFormatter(logging.Formatter):
    """`2026-11-23 10:00:00 INFO …`; a request's fields, milliseconds and what went wrong follow its message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without its traceback."""
        fields = [str(getattr(record, name)) for name in _REQUEST_FIELDS if hasattr(record, name)]
        took = [f"{stage}={ms}ms" for stage, ms in getattr(record, "ms", {}).items()]
        detail = [f"detail={record.detail}"] if hasattr(record, "detail") else []
        return " ".join([super().formatMessage(record), *fields, *took, *detail])


def configure(log_format: str, level: str, handler: logging.Handler) -> None:
    """Send every record of `level` and above to the handler, as `text` or `json`."""
    if log_format == "json":
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("{asctime}{levelname}{name}{message}", style="{", rename_fields=names))
    else:
        handler.setFormatter(TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("PIL").setLevel(logging.INFO)  # at DEBUG it writes down who took a photo, when and where
