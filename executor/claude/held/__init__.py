"""CLI processes that are held after an answer, for the next request of the same conversation."""
