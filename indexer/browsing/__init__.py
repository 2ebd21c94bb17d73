"""Faces of a gallery for people to look at and remove, on disk, on a server or through a service."""
