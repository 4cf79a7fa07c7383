"""Builds the body of a request to the Messages API from a Turn."""
