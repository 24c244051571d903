"""What is in the wheel, and that it stands alone."""

from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.system.conftest import Run, python

IMPORT_NAMES = ("fontanelle", "models", "worker", "service", "migrations")


def test_the_wheel_holds_packages_references_and_label_maps(installed: Path) -> None:
    patterns = (
        "models/packages/*/package.toml",
        "models/packages/*/model.onnx",
        "models/packages/*/golden.npz",
        "models/packages/*/MODEL_CARD.md",
        "fontanelle/norms/references/*.json",
        "models/training/label_maps/toddler_24mo_tissues.nii.gz",
        "models/training/label_maps/README.md",
        "models/training/configs/*.toml",
        "migrations/versions/0001_*.py",
        "migrations/script.py.mako",
        "service/web/templates/*.html",
        "service/web/static/*.css",
        "*.dist-info/licenses/LICENSE",
    )

    assert [pattern for pattern in patterns if not list(installed.glob(pattern))] == []


def test_the_wheel_holds_no_tests_and_no_programs_for_developers(installed: Path) -> None:
    assert not {"tests", "benchmarks", "scripts"} & {path.name for path in installed.iterdir()}


def test_what_runs_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    said = python(installed, tmp_path, "-c", "import service.cli; print(service.cli.__file__)")

    assert said.stdout.strip() == str(installed / "service" / "cli.py")


@pytest.mark.parametrize("name", IMPORT_NAMES)
def test_no_other_distribution_provides_a_package_of_that_name(name: str) -> None:
    # `models` and `service` are words that others may take too: one would hide the other.
    assert set(packages_distributions().get(name, [])) <= {"fontanelle"}


def test_packages_and_references_are_found_where_they_are_installed(fontanelle: Run) -> None:
    packages, references = fontanelle("models", "list"), fontanelle("norms", "list")

    assert packages.returncode == references.returncode == 0
    assert "xi2025-matched" in packages.stdout
    assert references.stdout.splitlines()[1].startswith("xi2025")
