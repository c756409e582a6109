"""The tables of a store, as the newest version has them; `farfield.study.migrations` brings older ones here."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("study", sa.Text, nullable=False, index=True),
    sa.Column("point", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("sources", sa.Text, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("started", sa.String(32)),
    sa.Column("seconds", sa.Float),
    sa.Column("error", sa.Text),
    sa.Column("traceback", sa.Text),
    sa.Column("result", sa.Text),
    sa.Column("provenance", sa.Text),
    # How often it was begun, by whom it was begun last, where it ran, and the file of its arrays.
    sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
    sa.Column("owner", sa.String(32)),
    sa.Column("finished", sa.String(32)),
    sa.Column("host", sa.Text),
    sa.Column("arrays", sa.Text),
)

# The drivers that run trials now: one row each, with a sign of life in seconds of the database's clock.
owners = sa.Table(
    "owners",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("began", sa.Float, nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
)

version = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, nullable=False))
