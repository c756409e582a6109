"""Where trials are kept: a database reached through SQLAlchemy, SQLite in one file by default, PostgreSQL by URL."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from farfield.errors import InputError, MissingExtra
from farfield.study.arrays import ArrayFolder, decode
from farfield.study.migrations import bring_up_to_date
from farfield.study.schema import trials as _trials

STATES = ("running", "done", "failed")
# How long a lock of the database, or a server that is being restarted, is waited for, in seconds.
PATIENCE = 30.0
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Record:
    """What the store knows of a trial: ``state`` is "running", "done" or "failed".

    ``attempts`` says how often it was begun, ``owner`` who did so last, ``host`` where it ran; ``started`` and
    ``finished`` are in UTC. The arrays of a ``result`` are read when they are used (`StoredArray`).
    """

    key: str
    study: str
    point: dict[str, Any]
    seed: int
    sources: dict[str, str]
    state: str
    attempts: int
    owner: str | None
    host: str | None
    started: str | None
    finished: str | None
    seconds: float | None
    error: str | None
    traceback: str | None
    result: dict[str, Any] | None
    provenance: dict[str, Any]


class Store:
    """Trials in a database: each is running, done (with its result) or failed (with its traceback).

    **Arguments:**
    - ``url``: an SQLAlchemy URL, such as ``sqlite:///runs.db`` (one file on a local disk, write-ahead log: a reader never
      waits) or ``postgresql://user@host/database`` (where several machines write). Tables are made where they are
      missing, and older ones are brought up to date.
    - ``arrays``: folder or fsspec URL for the arrays of results; by default ``$FARFIELD_ARRAYS``, else ``<file>.arrays``
      beside an SQLite file, else ``farfield-arrays`` in the current folder.

    Raises InputError where the database cannot be opened.

    >>> import tempfile
    >>> from farfield.study import Trial, run
    >>> store = Store(f"sqlite:///{tempfile.mkdtemp()}/runs.db")
    >>> outcomes = list(run(lambda point, seed: {"value": seed}, [Trial("demo", {}, seed) for seed in range(3)], store))
    >>> [record.result for record in store.records(study="demo")]
    [{'value': 0}, {'value': 1}, {'value': 2}]
    >>> store.close()
    """

    def __init__(self, url: str, *, arrays: str | Path | None = None):
        self.engine, self.name = _engine(url)
        self.arrays = _array_folder(self.engine.url, arrays)
        self._reached = False
        try:
            self.write(bring_up_to_date)
        except BaseException as error:
            self.engine.dispose()
            if isinstance(error, sa.exc.SQLAlchemyError):
                raise InputError(f"the store {self.name} cannot be opened: {str(error).splitlines()[0]}") from error
            raise

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
        # A database takes a bounded number of parameters in one statement.
        for i in range(0, len(keys), 500):
            query = sa.select(_trials).where(_trials.c.key.in_(keys[i : i + 500]))
            found.update((record.key, record) for record in self._read(query))
        return found

    def records(self, *, study: str | None = None, state: str | None = None) -> list[Record]:
        """Return all records, or those of one study or state, in the order in which they were begun.

        Raises InputError on an unknown state.
        """
        if state is not None and state not in STATES:
            raise InputError(f"the state is {state!r}; it must be one of {', '.join(STATES)}")
        query = sa.select(_trials).order_by(_trials.c.started, _trials.c.seed, _trials.c.key)
        for column, wanted in ((_trials.c.study, study), (_trials.c.state, state)):
            if wanted is not None:
                query = query.where(column == wanted)
        return list(self._read(query))

    def _read(self, query: sa.Select) -> Iterator[Record]:
        rows = self.read(lambda connection: connection.execute(query).all())
        # Thousands of trials share a few texts, such as the provenance: each is parsed once.
        parsed: dict[str, Any] = {}
        for row in rows:
            result = None
            if row.result is not None:
                result = decode(row.result, self.arrays.resolve(row.arrays) if row.arrays else None)
            provenance = row.provenance or "{}"
            if provenance not in parsed:
                parsed[provenance] = json.loads(provenance)
            yield Record(
                key=row.key,
                study=row.study,
                point=json.loads(row.point),
                seed=row.seed,
                sources=json.loads(row.sources),
                state=row.state,
                attempts=row.attempts,
                owner=row.owner,
                host=row.host,
                started=row.started,
                finished=row.finished,
                seconds=row.seconds,
                error=row.error,
                traceback=row.traceback,
                result=result,
                provenance=parsed[provenance],
            )

    def read(self, question: Callable[[sa.Connection], Answer]) -> Answer:
        """Call ``question(connection)`` in a transaction that only reads; patient as `write`."""
        return self._patiently(question, for_writing=False)

    def write(self, change: Callable[[sa.Connection], Answer]) -> Answer:
        """Call ``change(connection)`` in one transaction, again for a while where the database is locked or away."""
        return self._patiently(change, for_writing=True)

    def _patiently(self, work: Callable[[sa.Connection], Answer], *, for_writing: bool) -> Answer:
        give_up = time.monotonic() + PATIENCE
        pause = 0.05
        while True:
            try:
                with self.engine.connect() as connection:
                    self._reached = True
                    with connection.execution_options(for_writing=for_writing).begin():
                        return work(connection)
            except sa.exc.OperationalError as error:
                # SQLite calls many things so, of which a lock passes; a server that was never reached is a wrong address,
                # one that was is being restarted.
                passing = "locked" in str(error) if self.engine.dialect.name == "sqlite" else self._reached
                if not passing or time.monotonic() + pause > give_up:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def clock(self, connection: sa.Connection) -> float:
        """Return the time in seconds that all users of the store share: the server's, or this machine's for a file."""
        if connection.dialect.name == "postgresql":
            return connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8").scalar_one()
        return time.time()

    def close(self) -> None:
        """Close the connections to the database."""
        self.engine.dispose()


def open_store(name: str | None, *, default: Path, make: bool = True) -> Store:
    """Open the store that a user named: a URL, a file (.db, .sqlite, .sqlite3), or a folder that holds ``trials.db``.

    **Arguments:** ``name``: by default ``$FARFIELD_STORE``; ``default``: the folder of the store where neither is given;
    ``make``: whether a file that is missing is made.

    Raises InputError where the store cannot be opened, or is missing and shall not be made.

    >>> import tempfile
    >>> store = open_store(None, default=Path(tempfile.mkdtemp()))
    >>> store.records(), store.close()
    ([], None)
    """
    name = name or os.environ.get("FARFIELD_STORE")
    url = _url(name) if name else f"sqlite:///{default.resolve() / 'trials.db'}"
    # An address that is no URL is the store's to refuse.
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None
    if file and not Path(file).exists():
        if not make:
            raise InputError(f"there is no store {file}; name one: a URL, a file or a folder with a trials.db")
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    return Store(url)


def _url(name: str) -> str:
    if "://" in name:
        return name
    path = Path(name).resolve()
    is_file = path.is_file() or (path.suffix in (".db", ".sqlite", ".sqlite3") and not path.is_dir())
    return f"sqlite:///{path if is_file else path / 'trials.db'}"


def _engine(text: str) -> tuple[sa.Engine, str]:
    """Return the engine for a URL, and the URL as it may be shown, without a password."""
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise InputError(
            f"the store {text!r} is no database URL; expected sqlite:///FILE or postgresql://..."
        ) from error
    name = repr(url.render_as_string(hide_password=True))
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):
        try:
            import psycopg as psycopg
        except ImportError as error:
            raise MissingExtra("psycopg", extra="postgres", needed_by=f"the store {name}") from error
        # A server that was restarted has closed our connections: they are tried before use.
        return sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True), name
    if kind != "sqlite":
        raise InputError(f"the store {name} cannot be opened: expected sqlite:///FILE or postgresql://...")
    if url.database in (None, "", ":memory:"):
        raise InputError(f"the store {name} names no file: trials kept in memory would be lost")
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _write_ahead)
    sa.event.listen(engine, "begin", _begin)
    return engine, name


def _write_ahead(connection: Any, _: Any) -> None:
    # Transactions begin by our own statement, see _begin.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={int(1000 * PATIENCE)}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later can be refused in the middle; one that locks first waits its turn.
    writes = connection.get_execution_options().get("for_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _array_folder(url: sa.URL, place: str | Path | None) -> ArrayFolder:
    place = place or os.environ.get("FARFIELD_ARRAYS")
    if place:
        return ArrayFolder(str(place))
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "").resolve()
        return ArrayFolder(str(file.with_suffix(".arrays")), base=file.parent)
    return ArrayFolder(str(Path("farfield-arrays").resolve()))
