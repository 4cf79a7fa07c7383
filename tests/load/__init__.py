"""Load tests: the benchmark and the soak test."""
