"""Stores keys and the ledger: SQLite in DATA_DIR, or PostgreSQL by DATABASE_URL."""
