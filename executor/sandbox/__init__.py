"""Restricts processes by the kernel: one module for each mechanism. `confine` combines them."""
