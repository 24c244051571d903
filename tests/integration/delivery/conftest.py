"""What the tests of the sending side share: an installation with a fresh database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fontanelle.records.database import Records
from tests.integration.delivery.installation import Installation


@pytest.fixture
def installation(database_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Give an installation without any result yet."""
    with Records.open(database_url) as records:
        yield Installation(records, database_url, tmp_path)
