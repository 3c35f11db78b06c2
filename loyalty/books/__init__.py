"""The books of points proved: sums that must agree, and digests of the ledger that it must still have."""
