"""From the tables of an older version to those of this one, step by step, in one transaction.

A step is plain SQL that both SQLite and PostgreSQL read. A new version of the schema adds a step here and changes
`farfield.study.schema`; a test compares what the steps make with what the schema says.
"""

from __future__ import annotations

import sqlalchemy as sa

from farfield.errors import InputError
from farfield.study import schema

# Version 1 had no version table. What is said per version is done to reach that version from the one before.
STEPS: dict[int, tuple[str, ...]] = {
    2: (
        "ALTER TABLE trials ADD COLUMN attempts INTEGER DEFAULT 1 NOT NULL",
        "ALTER TABLE trials ADD COLUMN owner VARCHAR(32)",
        "ALTER TABLE trials ADD COLUMN finished VARCHAR(32)",
        "ALTER TABLE trials ADD COLUMN host TEXT",
        "ALTER TABLE trials ADD COLUMN arrays TEXT",
        "CREATE TABLE owners (id VARCHAR(32) NOT NULL PRIMARY KEY, place TEXT NOT NULL, pid INTEGER NOT NULL, "
        "began DOUBLE PRECISION NOT NULL, heartbeat DOUBLE PRECISION NOT NULL)",
        "CREATE TABLE schema_version (version INTEGER NOT NULL)",
        "INSERT INTO schema_version (version) VALUES (1)",
    ),
}
# SQLite does not enforce the types of columns, and cannot change them.
POSTGRESQL_STEPS: dict[int, tuple[str, ...]] = {
    2: (
        "ALTER TABLE trials ALTER COLUMN study TYPE TEXT",
        "ALTER TABLE trials ALTER COLUMN seed TYPE BIGINT",
    ),
}
NEWEST = max(STEPS)
_LOCK = 0x0FA2F1E1D


def bring_up_to_date(connection: sa.Connection) -> None:
    """Make the tables where there are none, and take older ones to the newest version.

    The caller's transaction holds all of it: an interruption leaves the database as it was.

    Raises InputError where the database was written by a newer version.

    >>> engine = sa.create_engine("sqlite://")
    >>> with engine.begin() as connection:
    ...     bring_up_to_date(connection), found_version(connection)
    (None, 2)
    """
    if connection.dialect.name == "postgresql":
        # Two drivers that start at once make the tables one after the other. SQLite's transaction locks by itself.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    found = found_version(connection)
    if found > NEWEST:
        raise InputError(
            f"the store has schema version {found}, and this farfield knows versions up to {NEWEST}: upgrade farfield"
        )
    if found == 0:
        schema.metadata.create_all(connection)
        connection.execute(sa.insert(schema.version).values(version=NEWEST))
        return
    for step in range(found + 1, NEWEST + 1):
        extra = POSTGRESQL_STEPS.get(step, ()) if connection.dialect.name == "postgresql" else ()
        for statement in (*STEPS[step], *extra):
            connection.exec_driver_sql(statement)
        connection.execute(sa.update(schema.version).values(version=step))


def found_version(connection: sa.Connection) -> int:
    """Return the version of the tables in a database; 0 where there are none."""
    tables = sa.inspect(connection).get_table_names()
    if schema.version.name in tables:
        return connection.execute(sa.select(schema.version.c.version)).scalar_one()
    return 1 if schema.trials.name in tables else 0
