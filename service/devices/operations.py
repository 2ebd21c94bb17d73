"""What a caller may be allowed to do: one word for each kind of request, on the device paths and on /v1 alike."""

from __future__ import annotations

from typing import Literal, get_args

DeviceOperation = Literal["register", "recognise", "list", "delete"]
OperationWord = Literal["register", "recognise", "list", "delete", "change", "galleries", "export", "import", "events"]

DEVICE_OPERATIONS: tuple[DeviceOperation, ...] = get_args(DeviceOperation)
"""Those that a device can be allowed."""
OPERATIONS: tuple[OperationWord, ...] = get_args(OperationWord)
"""Those that a key can be allowed."""
