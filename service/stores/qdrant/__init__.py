"""The shared store: a collection on a Qdrant server or cluster."""
