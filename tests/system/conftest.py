"""The product as it is installed: a wheel, built once and unpacked, run by this Python."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = (
    "fontanelle",
    "models",
    "worker",
    "service",
    "migrations",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, since building leaves traces, and unpack it."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / part, source / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, source / part)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "--wheel-dir", folder, "."], cwd=source, check=True)
    built = next(folder.glob("*.whl"))
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="session")
def fontanelle(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the installed command in a folder of its own."""
    folder = tmp_path_factory.mktemp("run")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return python(installed, folder, "-m", "service.cli", *arguments)

    return run


def python(
    installed: Path, folder: Path, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run this Python with the installed product, and not the working tree, on its path."""
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
