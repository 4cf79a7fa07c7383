"""The models that clients can name, and which key may use which."""
