"""The tables of this version. `migrations/` creates them; SCHEMA_VERSION is its last step."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

from shared.events import Usage

SCHEMA_VERSION = "0001"
TOKEN_COLUMNS = Usage.__struct_fields__

metadata = MetaData()
# Alembic's table with the version.
VERSION_TABLE = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))

facts = Table(
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("models", Text),
    Column("created", Float(53), nullable=False),
    Column("expires", Float(53)),
    Column("disabled", Boolean, nullable=False),
    Column("allowance", Text, nullable=False),
)

# day and hour are counted from 1970, in UTC.
ledger = Table(
    "ledger",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("day", Integer, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("key", String(64), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("model", String(128), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in TOKEN_COLUMNS),
    Column("cost_usd", Float(53)),
    Column("seconds", Float(53), nullable=False),
    Column("outcome", String(32), nullable=False),
    Index("ledger_by_day", "day", "key"),
)

daily_spending = Table(
    "spent",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("usd", Float(53), nullable=False),
    Column("tokens", BigInteger, nullable=False),
)
