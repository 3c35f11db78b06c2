"""The world of the plans' tests, with a bank that answers, and plans that have been executed."""

from tests.plans.conftest import approved, bank, draft, executed, shared_bank, world
from tests.sandbox_bank.process import new_bank

__all__ = ["approved", "bank", "draft", "executed", "new_bank", "shared_bank", "world"]
