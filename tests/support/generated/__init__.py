"""Conversations as ugly as clients send them, made by chance, and what the model must see of them."""
