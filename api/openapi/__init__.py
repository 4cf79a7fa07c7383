"""The OpenAPI document of the server, and the page that shows it."""
