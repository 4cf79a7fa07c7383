"""Text and JSON: character encodings, exact numbers, paths, terminal output."""
