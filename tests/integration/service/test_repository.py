"""The files that install the product: every requirement pinned, no registry named."""

import re
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
        re.split(r"[\[<>=~! ]", requirement)[0].lower()
        for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for requirement in group
    }
)


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


def test_the_ci_script_can_be_run_and_lets_nothing_skip() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    assert "FONTANELLE_REQUIRE_PEERS=1" in script.read_text()
