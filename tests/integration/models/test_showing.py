"""`fontanelle models show`: what a package declares, a line each, its evaluation's figures too."""

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra `train`)")

from service import cli
from tests.coded_head import COARSE_MM, SPACING_MM, write_package


def shown(package: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert cli.run(["models", "show", str(package)]) == 0
    return capsys.readouterr().out.splitlines()


def test_steps_qualification_protocol_match_and_metrics_stand_in_plain_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"people": 3, "dice": {"worst_region": 0.91, "mean": 0.95}}
    lines = shown(write_package(tmp_path / "package", metrics=metrics), capsys)

    assert f"steps          2: localiser at {COARSE_MM:g} mm, then network at " in "\n".join(lines)
    assert f" {SPACING_MM:g} mm of an upright head" in "\n".join(lines)
    assert "qualified      no: its z-scores are provisional, without flags" in lines
    assert "protocol       xi2025-matched" in lines
    assert "protocol match approximate" in lines
    assert lines[-3:] == [
        "metrics        people: 3",
        "               dice, worst region: 0.91",
        "               dice, mean: 0.95",
    ]


def test_a_package_without_figures_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(write_package(tmp_path / "package", qualified=True), capsys)
    assert "qualified      yes" in lines
    assert lines[-1] == "metrics        none"
