"""The models that clients can name, and the keys that may use them."""
