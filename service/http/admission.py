"""What the settings say about who is let in: mistakes are refused, and an open door is told of."""

from __future__ import annotations

import ipaddress
import logging

from service.errors import InvalidSettings
from service.settings import Settings

log = logging.getLogger(__name__)


def check_admission(settings: Settings) -> None:
    """Raise InvalidSettings for a setting that would do nothing; warn where everybody may come in from elsewhere."""
    if settings.devices is None:
        for name, is_set in (("FACE_DEVICE_RATE", settings.device_rate > 0), ("FACE_NONCES_URL", settings.nonces_url)):
            if is_set:
                raise InvalidSettings(f"{name} is for signed devices; set FACE_DEVICES to their file, or unset {name}.")
    if settings.devices is None and settings.keys is None and not _is_loopback(settings.host):
        log.warning(
            "Everybody who reaches %s may register, recognise, list and delete; set FACE_DEVICES or FACE_KEYS, or "
            "FACE_HOST=127.0.0.1.",
            settings.host,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
