"""CompreFace's API over the same galleries, for clients that speak it already."""
