"""From a photo's bytes to faces with embeddings."""
