"""A face recognition service: photos in over REST, the nearest known faces out."""
