"""What the markers of peers promise: skipped with a reason at home, a failure in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"
MISSING = {
    "a program": "@pytest.mark.peer('no-such-program')\ndef test_it(): pass",
    "torch": "@pytest.mark.torch\ndef test_it(): pass",
    "a module": "pytest.importorskip('no_such_module')\ndef test_it(): pass",
    "a whole file": "pytest.skip('not here', allow_module_level=True)",
    "a test by itself": "def test_it(): pytest.skip('not today')",
    "a test by a condition": "@pytest.mark.skipif(True, reason='a card')\ndef test_it(): pass",
}
PRESENT = {
    "a program that is there": "@pytest.mark.peer('sh')\ndef test_it(): pass",
    "an expected failure": "@pytest.mark.xfail\ndef test_it(): assert False",
}
# As if torch were not installed, whether it is or not.
WITHOUT_TORCH = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "torch" else find_spec(name, *more)
"""


def pytest_of(folder: Path, body: str, *, require: bool) -> subprocess.CompletedProcess[str]:
    """Run pytest with our conftest on a module of this body."""
    (folder / "conftest.py").write_text(CONFTEST.read_text() + WITHOUT_TORCH)
    (folder / "test_it.py").write_text(f"import pytest\n{body}\n")
    marks = "[pytest]\nmarkers =\n    peer(name): a program\n    torch: the module\n"
    (folder / "pytest.ini").write_text(marks)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=folder,
        # Our conftest loads a plugin of ours.
        env={
            **os.environ,
            "PYTHONPATH": str(CONFTEST.parents[1]),
            "FONTANELLE_REQUIRE_PEERS": "1" if require else "",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("body", MISSING.values(), ids=MISSING)
def test_what_is_missing_fails_in_ci_and_is_named(tmp_path: Path, body: str) -> None:
    said = pytest_of(tmp_path, body, require=True)

    assert said.returncode in {1, 2}, said.stdout
    assert "nothing may skip" in said.stdout
    assert "passed" not in said.stdout and "skipped" not in said.stdout.splitlines()[-1]


@pytest.mark.parametrize("missing", ["a program", "torch", "a module"])
def test_what_is_missing_at_home_is_skipped_and_named(tmp_path: Path, missing: str) -> None:
    said = pytest_of(tmp_path, MISSING[missing], require=False)

    assert "1 skipped" in said.stdout and "SKIPPED [1]" in said.stdout
    assert ("make peers" in said.stdout) == (missing == "a program")
    assert ("extra `train`" in said.stdout) == (missing == "torch")


@pytest.mark.parametrize("body", PRESENT.values(), ids=PRESENT)
def test_what_is_there_runs_in_ci(tmp_path: Path, body: str) -> None:
    said = pytest_of(tmp_path, body, require=True)

    assert said.returncode == 0, said.stdout
    assert "1 passed" in said.stdout or "1 xfailed" in said.stdout
