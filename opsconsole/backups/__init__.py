"""Backups of the database, each restored once before it counts as one."""
