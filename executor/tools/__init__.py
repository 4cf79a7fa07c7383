"""The tools role: files and commands, as far as the owner allows them."""
