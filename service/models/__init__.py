"""Which weights are used, where they come from, and the files that the engine runs."""
