"""A bank to practise on: a separate process with a real HTTP protocol, its own store, and faults on demand.

It imports nothing from the console and shares nothing with it: what it holds is what "the bank did". See
docs/sandbox-bank.md for the protocol.
"""
