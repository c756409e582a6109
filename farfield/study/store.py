"""Where trials are kept: a database reached through SQLAlchemy, SQLite in one file by default."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from farfield.errors import InputError
from farfield.study.trial import Trial

_metadata = sa.MetaData()
_trials = sa.Table(
    "trials",
    _metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("study", sa.String(64), nullable=False, index=True),
    sa.Column("point", sa.Text, nullable=False),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("sources", sa.Text, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("started", sa.String(32)),
    sa.Column("seconds", sa.Float),
    sa.Column("error", sa.Text),
    sa.Column("traceback", sa.Text),
    sa.Column("result", sa.Text),
    sa.Column("provenance", sa.Text),
)


@dataclass(frozen=True)
class Record:
    """What the store knows of a trial: ``state`` is "running", "done" or "failed"."""

    key: str
    state: str
    seconds: float | None
    error: str | None
    traceback: str | None
    result: dict[str, Any] | None


class Store:
    """Trials in a database: each is running, done (with its result) or failed (with its traceback).

    **Arguments:** ``url`` is an SQLAlchemy URL, such as ``sqlite:///runs.db`` (write-ahead log, so that a reader never
    waits); the tables are made where they are missing.

    Raises InputError where the database cannot be opened.

    >>> import tempfile
    >>> store = Store(f"sqlite:///{tempfile.mkdtemp()}/runs.db")
    >>> trial = Trial("compare", {"method": "erm"}, seed=0)
    >>> store.start(trial, provenance={}); store.finish(trial.key, {"accuracy": 0.5}, seconds=1.0)
    >>> store.get([trial.key])[trial.key].result
    {'accuracy': 0.5}
    >>> store.close()
    """

    def __init__(self, url: str):
        try:
            self._engine = sa.create_engine(url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _write_ahead)
            _metadata.create_all(self._engine)
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise InputError(f"the store {url!r} cannot be opened: {str(error).splitlines()[0]}") from error

    @classmethod
    def in_folder(cls, folder: Path) -> Store:
        """Open the store ``trials.db`` of a folder, making the folder where it is missing.

        >>> import tempfile
        >>> Store.in_folder(Path(tempfile.mkdtemp())).close()
        """
        folder.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{folder.resolve() / 'trials.db'}")

    def get(self, keys: Iterable[str]) -> dict[str, Record]:
        """Return the records of those of these keys that the store holds."""
        keys = list(keys)
        found: dict[str, Record] = {}
        with self._engine.connect() as connection:
            # SQLite takes a bounded number of parameters in one statement.
            for i in range(0, len(keys), 500):
                rows = connection.execute(sa.select(_trials).where(_trials.c.key.in_(keys[i : i + 500])))
                for row in rows:
                    result = None if row.result is None else json.loads(row.result)
                    found[row.key] = Record(row.key, row.state, row.seconds, row.error, row.traceback, result)
        return found

    def start(self, trial: Trial, *, provenance: Mapping[str, Any]) -> None:
        """Record that a trial is running; what an earlier attempt at it left is replaced."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(_trials).where(_trials.c.key == trial.key))
            connection.execute(
                sa.insert(_trials).values(
                    key=trial.key,
                    study=trial.study,
                    point=json.dumps(trial.point),
                    seed=trial.seed,
                    sources=json.dumps(trial.sources),
                    state="running",
                    started=datetime.now(UTC).isoformat(timespec="seconds"),
                    provenance=json.dumps(provenance),
                )
            )

    def finish(self, key: str, result: Mapping[str, Any], *, seconds: float) -> None:
        """Record the result of a trial. Raises ValueError where it holds NaN or infinity, which JSON does not."""
        self._update(key, state="done", result=json.dumps(result, allow_nan=False), seconds=seconds)

    def fail(self, key: str, error: str, traceback: str, *, seconds: float) -> None:
        """Record that a trial failed, with one sentence and its traceback."""
        self._update(key, state="failed", error=error, traceback=traceback, seconds=seconds)

    def _update(self, key: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(_trials).where(_trials.c.key == key).values(**values))

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _write_ahead(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=30000")
