"""The installed product, as the system tests have it; and folders for whole modules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import _folder
from tests.system.conftest import installed

__all__ = ["installed"]


@pytest.fixture(scope="module")
def reachable_folder() -> Iterator[Path]:
    """Give a folder that the servers' own user can reach where the tests run as root."""
    yield from _folder()
