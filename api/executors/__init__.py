"""Clients of the executors: the pool, turns, tool jobs and merged streams."""
