"""Mutated photos and requests against the running service: `make fuzz`."""
