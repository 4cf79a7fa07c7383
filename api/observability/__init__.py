"""Metrics, traces and health."""
