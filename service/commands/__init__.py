"""The commands of `python -m service` that do one thing and end: `prepare` and `quantize`."""
