"""What the server costs, measured in one run: `make bench`. Prints a table and writes bench.json."""
