"""The benchmark of comparisons runs on a small size and prints what it says."""

import pytest

from benchmarks import compare


def test_the_benchmark_prints_a_line_for_every_way_to_compare(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare.main(["--children", "20", "--rounds", "1"]) == 0

    printed = capsys.readouterr().out
    assert "xi2025, 10 regions | cohort | child by child" in printed
    assert [line.split("|")[1].strip() for line in printed.splitlines()[4:]] == [
        "derived, before calibration",
        "calibrated",
        "local: t, non-central t",
        "local, of 120 children",
    ]
