"""A Turn as the body of a request to the Messages API."""
