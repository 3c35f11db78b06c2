"""Campaigns: whom they are for, how they are awarded and taken back, and what a launch has to satisfy.

What `loyalty.services` share about them; docs/loyalty/campaigns.md tells how they work.
"""
