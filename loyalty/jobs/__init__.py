"""Loyalty's jobs, a room for each noun; importing this registers what is periodic."""

from loyalty.jobs import books, budgets, campaigns, expiry, fraud, tiers, vouchers

__all__ = ["books", "budgets", "campaigns", "expiry", "fraud", "tiers", "vouchers"]
