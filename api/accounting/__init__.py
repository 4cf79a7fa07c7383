"""Admission, rate limits, usage and the ledger."""
