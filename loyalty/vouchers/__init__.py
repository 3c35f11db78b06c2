"""Voucher codes: made, read as people type them, and taken away as a file."""
