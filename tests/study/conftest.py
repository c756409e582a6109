"""Real databases for the tests of the engine: SQLite files, and a PostgreSQL server that the tests start themselves."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

from farfield.study import Store


def _programs():
    """The folder of the newest PostgreSQL server's programs; Debian keeps them off the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    found = shutil.which("initdb")
    folders += [Path(found).resolve().parent] if found else []
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL server with no database of ours, and what stops and starts it; ended after the tests."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'farfield[postgres]'")
    programs = _programs()
    if programs is None:
        pytest.skip("needs a PostgreSQL server: initdb was not found")
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("needs a user named postgres: a PostgreSQL server does not run as root")
    # Not among the test folders, which pytest closes to all but the user that runs it.
    home = Path(tempfile.mkdtemp(prefix="farfield-postgresql-"))
    data = home / "data"
    as_user = {}
    if os.geteuid() == 0:
        # The server refuses to run as root.
        user = pwd.getpwnam("postgres")
        shutil.chown(home, user.pw_name)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(program, *arguments):
        command = [programs / program, "-D", data, *arguments]
        subprocess.run(command, check=True, cwd=home, stdout=subprocess.DEVNULL, timeout=60, **as_user)

    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"

    def start():
        call("pg_ctl", "-w", "-l", home / "log", "-o", options, "start")

    def stop():
        call("pg_ctl", "-w", "-m", "fast", "stop")

    try:
        call("initdb", "--auth=trust", "--username=farfield", "--no-sync")
        start()
        yield f"postgresql://farfield@127.0.0.1:{port}/postgres", stop, start
        stop()
    finally:
        shutil.rmtree(home)


@pytest.fixture
def postgresql_url(postgresql):
    """The URL of a new, empty PostgreSQL database."""
    import psycopg

    server, _, _ = postgresql
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rpartition('/')[0]}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of a new store of each kind."""
    return f"sqlite:///{tmp_path}/trials.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


@pytest.fixture
def store(url, tmp_path):
    """A new store of each kind."""
    store = Store(url, arrays=None if url.startswith("sqlite") else tmp_path / "arrays")
    yield store
    store.close()
