"""The questions that people ask of the known faces."""
