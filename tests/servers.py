"""Real servers for tests: an embedded PostgreSQL and Valkey, started once a session.

Each worker of pytest-xdist is a session of its own. What a test is given is fresh: an empty
database, a migrated one, an empty Valkey.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from service.embedded.postgres import Postgres, discard
from service.embedded.valkey import Valkey

MIGRATED = "migrated"
"""The template of `database_url`."""


class PostgresServer:
    """A running PostgreSQL that makes databases."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._numbers = count(1)

    def url(self, name: str) -> str:
        """Return the address of one of its databases, for SQLAlchemy."""
        return self.server.url.replace("@/fontanelle?", f"@/{name}?")

    def database(self, template: str = "template1") -> str:
        """Make a database and return its address."""
        return self.named(f"test_{next(self._numbers)}", template)

    def named(self, name: str, template: str = "template1") -> str:
        """Make a database of this name and return its address."""
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, and whoever is still connected."""
        self._run("DROP DATABASE {} WITH (FORCE)", url.split("@/")[1].split("?", maxsplit=1)[0])

    def _run(self, statement: str, *names: str) -> None:
        address = self.server.url.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Give a folder that the servers' own user can reach where the tests run as root."""
    yield from _folder()


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """Give a fresh data folder, reachable as above; for what starts servers of its own."""
    yield from _folder()


def _folder() -> Iterator[Path]:
    # pytest's own folders are closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="fontanelle-test-", dir="/var/tmp"))  # noqa: S108
    if os.geteuid() == 0:
        folder.chmod(0o711)
    try:
        yield folder
    finally:
        discard(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    """Give the session's PostgreSQL."""
    with Postgres(server_folder, fsync=False) as server:
        yield PostgresServer(server)


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address of a fresh database without tables."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """Give the name of a database that was migrated once; nobody stays connected to it."""
    from fontanelle.records import migrate

    migrate.upgrade(postgres_server.named(MIGRATED))
    return MIGRATED


@pytest.fixture
def database_url(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """Give the address of a fresh database with the tables of this version."""
    url = postgres_server.database(migrated_template)
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def valkey_server(server_folder: Path) -> Iterator[Valkey]:
    """Give the session's Valkey."""
    with Valkey(server_folder, fsync=False) as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: Valkey) -> str:
    """Give the address, for Celery, of an empty Valkey."""
    with closing(socket.socket(socket.AF_UNIX)) as peer:
        peer.connect(str(valkey_server.socket))
        peer.sendall(b"FLUSHALL\r\n")
        assert peer.recv(64).startswith(b"+OK")
    return valkey_server.url


def for_root(test: Callable[..., None]) -> Callable[..., None] | None:
    """Collect a test for root alone: for anybody else there is nothing that it could look at."""
    return test if os.geteuid() == 0 else None


def free_port() -> int:
    """Return a port of loopback that nobody has now."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
