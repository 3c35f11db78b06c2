"""Loyalty at scale: programs, points, campaigns, tiers, vouchers, fraud and disputes."""
