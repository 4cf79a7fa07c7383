"""Processes of jobs: forked from a small process, watched, and ended with all their descendants."""
