"""The files that install the product: every requirement pinned, no registry named."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    name.lower().replace("_", "-"): version
    for name, _, version in (
        line.partition("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
}
REQUIREMENTS = sorted(
    {
        re.split(r"[\[<>=~!; ]", requirement)[0].lower()
        for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for requirement in group
    }
)


# Stands for python3 and for the python of the environment that it makes; pip takes a while.
SLOW_PYTHON = """#!/bin/sh
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"pip install"*) echo begun >>"$LOG"; sleep 0.3; echo ended >>"$LOG" ;;
esac
"""


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_requirement_of_every_extra_is_pinned(requirement: str) -> None:
    assert PINS[requirement]


def test_pins_that_were_measured_to_fit_together_stay_together() -> None:
    # The provider in onnxruntime-gpu 1.31 links libnvinfer.so.10; torch 2.13.0 is the build that
    # training and export are tested with.
    assert PINS["onnxruntime"] == PINS["onnxruntime-gpu"] == "1.31.1"
    assert PINS["tensorrt-cu13"] == "10.16.1.11"
    assert PINS["torch"] == "2.13.0"


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "Makefile", ".ci/run"])
def test_no_registry_is_named(name: str) -> None:
    text = (ROOT / name).read_text()

    assert not re.search(r"https?://|file://|index-url|find-links", text)


def test_two_pips_never_work_in_one_environment(tmp_path: Path) -> None:
    python = tmp_path / "slow-python"
    python.write_text(SLOW_PYTHON)
    python.chmod(0o755)
    log = tmp_path / "log"

    subprocess.run(
        ["make", "-j4", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}", "lint"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "LOG": str(log)},
        capture_output=True,
        check=False,  # there is no ruff in an environment of shell scripts
    )

    assert log.read_text().split() == ["begun", "ended"] * 3


def test_the_peers_that_tests_ask_for_are_those_that_make_looks_for() -> None:
    asked = {
        program
        for path in (ROOT / "tests").rglob("test_*.py")
        for program in re.findall(
            r'^(?:@|pytestmark = )pytest\.mark\.peer\("(\w+)"\)', path.read_text(), re.MULTILINE
        )
    }
    looked_for = re.search(r"for program in ([\w ]+);", (ROOT / "Makefile").read_text())

    assert looked_for is not None
    assert set(looked_for[1].split()) == asked


def test_installing_peers_asks_no_questions() -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert re.findall(r"\n\t(.*)apt-get install", makefile) == ["DEBIAN_FRONTEND=noninteractive "]


def test_the_ci_script_can_be_run_and_lets_nothing_skip() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    assert "FONTANELLE_REQUIRE_PEERS=1" in script.read_text()
