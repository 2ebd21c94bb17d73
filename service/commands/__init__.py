"""The commands of `python -m service` that do one thing and leave: `prepare` and `quantize`."""
