"""What the tests of the records share: opened records on a fresh database."""

from collections.abc import Iterator

import pytest

from fontanelle.records.database import Records


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    """Give the records of a fresh database."""
    with Records.open(database_url, connections=10) as opened:
        yield opened
