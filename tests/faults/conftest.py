"""The installed product, as the system tests have it; a destination; heads to send."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.orthanc import Orthanc, orthanc
from tests.servers import _folder
from tests.system.conftest import installed
from tests.system.heads import Sent, phantom
from tests.system.service import Up

__all__ = ["installed"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the service said."""
    report = yield
    if report.failed:
        for up in (each for each in getattr(item, "funcargs", {}).values() if isinstance(each, Up)):
            report.sections += [(name, text[-4000:]) for name, text in up.logs().items()]
    return report


@pytest.fixture(scope="module")
def reachable_folder() -> Iterator[Path]:
    """Give a folder that the servers' own user can reach where the tests run as root."""
    yield from _folder()


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    """Give a destination; tests that use it are marked as needing it."""
    with orthanc() as server:
        yield server


@pytest.fixture
def head(tmp_path: Path, request: pytest.FixtureRequest) -> Sent:
    """Give a head that no other test sends."""
    return phantom(tmp_path / "head", request.node.nodeid)


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Sent:
    """Give a second one."""
    return phantom(tmp_path / "other", f"{request.node.nodeid}, the other one")
