"""From folders of photos into a gallery."""
