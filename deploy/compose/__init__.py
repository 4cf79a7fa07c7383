"""What runs the server in containers."""
