"""What is shared by all tests: which peers are there, and that CI skips nothing."""

import importlib.util
import os
import shutil
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

pytest_plugins = ["tests.servers"]

# A busy machine is no failure: hypothesis shall not time its examples.
settings.register_profile("fontanelle", deadline=None)
settings.load_profile("fontanelle")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

REQUIRE_PEERS = os.environ.get("FONTANELLE_REQUIRE_PEERS") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("peer"):
            program = marker.args[0]
            if shutil.which(program) is None:
                _miss(item, f"{program} is not installed (make peers)")
        if item.get_closest_marker("torch") and importlib.util.find_spec("torch") is None:
            _miss(item, "torch is not installed (extra `train`)")


def _miss(item: pytest.Item, what: str) -> None:
    item.add_marker(pytest.mark.skip(reason=what))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed_if_skipped((yield))


def _failed_if_skipped(report: Report) -> Report:
    """Under FONTANELLE_REQUIRE_PEERS=1 nothing may skip, whatever the reason."""
    # An expected failure is reported as skipped too; it ran.
    if REQUIRE_PEERS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"{why}; nothing may skip under FONTANELLE_REQUIRE_PEERS=1"
    return report
