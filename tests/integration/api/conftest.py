"""What the tests of the API share: a house on a fresh database and store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fontanelle.records.database import Records
from tests.integration.api import house as houses
from tests.integration.api.house import House


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    """Give the records of a fresh database."""
    with Records.open(database_url, connections=10) as opened:
        yield opened


@pytest.fixture
def house(records: Records, tmp_path: Path) -> House:
    """Give a house that asks for keys."""
    return houses.make(records, tmp_path)
