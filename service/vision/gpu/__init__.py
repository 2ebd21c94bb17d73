"""Finding and embedding faces with torch, many photos at a time."""
