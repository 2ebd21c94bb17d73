"""The command line for whole galleries: `python -m indexer --help`."""
