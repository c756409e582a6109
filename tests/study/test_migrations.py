"""A store that an older version wrote opens, keeps what it holds, and then is as if it had been made new."""

import json

import pytest
import sqlalchemy as sa

from farfield.errors import InputError
from farfield.study import Store, Trial, run
from farfield.study.migrations import NEWEST

# The schema of version 1, as it was written then.
VERSION_1 = """
CREATE TABLE trials (
    key VARCHAR(32) NOT NULL PRIMARY KEY, study VARCHAR(64) NOT NULL, point TEXT NOT NULL, seed INTEGER NOT NULL,
    sources TEXT NOT NULL, state VARCHAR(8) NOT NULL, started VARCHAR(32), seconds FLOAT, error TEXT, traceback TEXT,
    result TEXT, provenance TEXT
);
CREATE INDEX ix_trials_study ON trials (study)
"""


def engine_of(url):
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def structure(url):
    engine = engine_of(url)
    inspector = sa.inspect(engine)
    kind = (lambda c: str(c["type"])) if engine.dialect.name == "postgresql" else (lambda c: None)
    found = {
        table: (
            {c["name"]: (c["nullable"], str(c["default"]).strip("'"), kind(c)) for c in inspector.get_columns(table)},
            inspector.get_pk_constraint(table)["constrained_columns"],
            [(i["name"], i["column_names"]) for i in inspector.get_indexes(table)],
        )
        for table in inspector.get_table_names()
    }
    engine.dispose()
    return found


@pytest.fixture
def old(url):
    """A store of version 1 with one trial done, one failed and one that was running when its driver was killed."""
    trials = [Trial("demo", {"x": x}, 7) for x in range(3)]
    engine = engine_of(url)
    with engine.begin() as connection:
        for statement in VERSION_1.split(";"):
            connection.execute(sa.text(statement))
        for trial, state, result, error in zip(
            trials, ("done", "failed", "running"), ('{"x": 0}', None, None), (None, "no", None)
        ):
            connection.execute(
                sa.text(
                    "INSERT INTO trials (key, study, point, seed, sources, state, started, seconds, error, traceback, "
                    "result, provenance) VALUES (:key, 'demo', :point, 7, '{}', :state, '2026-01-01T00:00:00+00:00', 1.5, "
                    ':error, :error, :result, \'{"version": "0.1.0"}\')'
                ),
                {
                    "key": trial.key,
                    "point": json.dumps(trial.point),
                    "state": state,
                    "error": error,
                    "result": result,
                },
            )
    engine.dispose()
    return trials


def test_version_1_keeps_its_trials_and_goes_on(url, old):
    store = Store(url)
    done, failed, running = (store.get([t.key])[t.key] for t in old)
    assert (done.state, done.result, done.seconds, done.attempts) == ("done", {"x": 0}, 1.5, 1)
    assert (failed.state, failed.error, failed.seed, failed.provenance) == ("failed", "no", 7, {"version": "0.1.0"})
    assert (running.state, running.owner) == ("running", None)
    ended = {o.trial.point["x"]: o for o in run(lambda point, seed: {"x": 10 + point["x"]}, old, store)}
    assert {x: (o.kept, o.result) for x, o in ended.items()} == {
        0: (True, {"x": 0}),
        1: (True, None),
        2: (False, {"x": 12}),
    }
    assert store.get([old[2].key])[old[2].key].attempts == 2
    store.close()


def test_migrated_and_new_tables_are_the_same(url, old, tmp_path):
    Store(url).close()
    new = (
        f"sqlite:///{tmp_path}/new.db"
        if url.startswith("sqlite")
        # The schema that holds the tables is dropped, so that the same database is made new.
        else url
    )
    migrated = structure(url)
    if new == url:
        engine = engine_of(url)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
        engine.dispose()
    Store(new).close()
    assert structure(new) == migrated


def test_opening_again_changes_nothing_and_a_newer_store_is_refused(url):
    for _ in range(2):
        Store(url).close()
    engine = engine_of(url)
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT version FROM schema_version")).scalars().all() == [NEWEST]
        connection.execute(sa.text("UPDATE schema_version SET version = 99"))
    engine.dispose()
    with pytest.raises(InputError, match=f"schema version 99, and this farfield knows versions up to {NEWEST}"):
        Store(url)


def test_an_interrupted_migration_leaves_the_old_store_whole(url, old, monkeypatch):
    from farfield.study import migrations

    monkeypatch.setitem(migrations.STEPS, 2, (*migrations.STEPS[2], "SELECT nonsense FROM nowhere"))
    before = structure(url)
    with pytest.raises(InputError, match="cannot be opened"):
        Store(url)
    assert structure(url) == before
