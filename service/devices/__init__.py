"""Who may send requests: the file of devices, their signatures, nonces and rates."""
