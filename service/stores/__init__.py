"""Where faces are kept: the embedded store, and the one on a Qdrant server."""
