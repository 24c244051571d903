"""The installed command: quick to answer, and the design's exit codes from real processes."""

import shutil
from pathlib import Path

import pytest

from service.cli import COMMANDS
from tests.system.conftest import Run, python

LOADED = """
import sys
from service.cli import run
code = run({arguments!r})
print(code, *sorted(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""
HEAVY = ("numpy", "scipy", "sqlalchemy", "pydicom", "SimpleITK", "rich", "pydantic", "torch")


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_click_and_nothing_heavy(
    installed: Path, tmp_path: Path, arguments: list[str]
) -> None:
    code = LOADED.format(arguments=arguments, heavy=HEAVY)

    said = python(installed, tmp_path, "-c", code)

    assert said.stderr.split() == ["0"], said.stderr
    assert said.stdout.startswith("Usage: fontanelle")


def test_the_version_is_that_of_the_distribution(fontanelle: Run) -> None:
    assert fontanelle("--version").stdout.strip().endswith("0.1.0")


def test_a_path_that_is_not_there_is_refused_without_a_traceback(
    fontanelle: Run, tmp_path: Path
) -> None:
    said = fontanelle("analyse", tmp_path / "absent", "--out", tmp_path / "out")

    assert said.returncode == 3
    assert said.stderr.splitlines()[-1].startswith("input.not_found: ")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_dicom_is_refused(fontanelle: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no image")

    said = fontanelle("analyse", tmp_path / "in", "--out", tmp_path / "out")

    assert said.returncode == 3
    assert "input.no_dicom: " in said.stderr
    assert not (tmp_path / "out").exists()


def test_a_package_with_a_changed_file_is_refused(
    fontanelle: Run, installed: Path, tmp_path: Path
) -> None:
    shipped = next((installed / "models" / "packages").glob("*/package.toml")).parent
    changed = tmp_path / "changed"
    shutil.copytree(shipped, changed)
    (changed / "MODEL_CARD.md").write_text("Trust me.")

    said = fontanelle("models", "verify", changed)

    assert said.returncode == 3
    assert said.stderr.startswith("package.digest_mismatch: ")


def test_an_unknown_package_and_an_unknown_reference_are_told_apart(
    fontanelle: Run, tmp_path: Path
) -> None:
    options = ("analyse", tmp_path, "--out", tmp_path / "out")

    package = fontanelle(*options, "--package", "no-such")
    reference = fontanelle(*options, "--reference", "no-such")

    assert (package.returncode, reference.returncode) == (4, 3)
    assert "package.unknown" in package.stderr and "reference.unknown" in reference.stderr


def test_wrong_usage_is_told_apart_from_a_refusal(fontanelle: Run, tmp_path: Path) -> None:
    assert fontanelle("analyse", tmp_path).returncode == 2
    assert fontanelle("analyse", tmp_path, "--out", tmp_path, "--sex", "X").returncode == 2


def test_json_of_a_refused_input_leaves_stdout_empty(fontanelle: Run, tmp_path: Path) -> None:
    said = fontanelle("analyse", tmp_path / "absent", "--out", tmp_path / "out", "--json")

    assert (said.returncode, said.stdout) == (3, "")
