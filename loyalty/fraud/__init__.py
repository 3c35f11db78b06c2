"""Patterns of fraud: what is looked for, over what time, and what was right about it."""
