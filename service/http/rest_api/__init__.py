"""The /v1 API: HTTP's own statuses, and one description of every operation that its document is made from."""
