"""How good the faces are that tests make up."""

from __future__ import annotations

from service.values import Quality

GOOD = Quality(
    sharpness=0.25,
    noise=0.8,
    brightness=120.0,
    contrast=45.0,
    clipped_dark=0.0,
    clipped_bright=0.0,
    side=120.0,
    yaw=0.0,
    pitch=0.54,
    roll_degrees=0.0,
    detection_score=1.0,
    bystanders=0,
)
"""About the median of LFW's."""
