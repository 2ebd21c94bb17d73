"""Whole galleries into files and back, and to another model."""
