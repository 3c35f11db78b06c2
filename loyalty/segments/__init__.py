"""Segments: which members of a program something is for, as a small typed JSON tree; docs/loyalty/segments.md.

`parse` reads one, `compile` makes the SQL that finds its members, `words` tells it in a sentence.
"""
