"""`claude-api-server up`: checks, starts and supervises the programs in one terminal."""
