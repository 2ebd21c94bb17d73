"""A face recognition service: photos in over REST, the nearest known faces out."""

__version__ = "0.1.0"
"""Of the whole project, written here only; the wheel's name and `--version` have it from here."""
