"""Seccomp filters of system calls."""
