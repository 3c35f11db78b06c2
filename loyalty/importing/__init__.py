"""Purchases in by a file: read line by line, staged, and written into the ledger as earns."""
