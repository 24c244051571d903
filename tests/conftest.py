"""What is shared by all tests: which peers are there, and that CI skips nothing."""

import importlib.util
import os
import shutil

import pytest
from hypothesis import settings

# A busy machine is no failure: hypothesis shall not time its examples.
settings.register_profile("fontanelle", deadline=None)
settings.load_profile("fontanelle")

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
    # Under FONTANELLE_REQUIRE_PEERS=1 nothing may skip: the test runs, and fails for itself.
    if not REQUIRE_PEERS:
        item.add_marker(pytest.mark.skip(reason=what))
