"""Proof tools: a daemon that is killed, a writer that keeps a ledger, and what compares the two.

Standard library only. A new source needs one file in `sources/` (see sources/base.py); every fault
test then runs on it.
"""
