"""Where keys and the ledger are kept: SQLite in DATA_DIR, or PostgreSQL by DATABASE_URL."""
