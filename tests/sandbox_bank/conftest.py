"""The bank's fixtures."""

from tests.sandbox_bank.process import bank, new_bank, shared_bank

__all__ = ["bank", "new_bank", "shared_bank"]
