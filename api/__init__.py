"""Faces the network. Holds no credential, opens no user's file, starts no process."""
