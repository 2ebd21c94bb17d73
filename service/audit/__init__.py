"""The audit trail: who was recognised or changed what, kept in a file of SQLite."""
