"""The Model Context Protocol (https://modelcontextprotocol.io): the REST services as tools for other programs' models."""
