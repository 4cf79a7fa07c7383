"""HTTP: the server, its connections, request bodies, event streams and the limits on each."""
