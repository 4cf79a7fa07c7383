"""The Model Context Protocol (https://modelcontextprotocol.io): what REST does, as tools of other programs' models."""
