"""What the tests of the API share: a house on a fresh database and store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fontanelle.records.database import Records
from tests.integration.api import house as houses
from tests.integration.api.house import House
from tests.servers import PostgresServer


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    """Give the records of a fresh database."""
    with Records.open(database_url, connections=10) as opened:
        yield opened


@pytest.fixture
def house(records: Records, tmp_path: Path) -> House:
    """Give a house that asks for keys."""
    return houses.make(records, tmp_path)


@pytest.fixture(scope="module")
def still_house(
    postgres_server: PostgresServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """Give a house that the tests of a module share: they change nothing in it."""
    url = postgres_server.database(migrated_template)
    with Records.open(url, connections=10) as opened:
        yield houses.make(opened, tmp_path_factory.mktemp("still"))
    postgres_server.drop(url)
