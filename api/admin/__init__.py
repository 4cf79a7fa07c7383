"""Keys and usage: how the server's owner manages who may do what, and sees what was used."""
