"""The benchmark of the turnaround measures a small head on the real roles, or says why not."""

import os
import re

import pytest

from benchmarks import turnaround


def test_a_busy_machine_gets_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["turnaround"])
    monkeypatch.setattr(os, "getloadavg", lambda: (1.7, 0.0, 0.0))

    with pytest.raises(SystemExit, match=r"load 1\.7.*--busy-anyway"):
        turnaround.main()

    assert capsys.readouterr().out == ""


def test_a_small_head_has_a_line_for_each_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--slices", "56", "--rows", "192", "--runs", "1", "--busy-anyway"]
    monkeypatch.setattr("sys.argv", ["turnaround", *small])

    turnaround.main()

    said = capsys.readouterr().out
    steps = dict(re.findall(r"^\| (\w+) \| (-?\d+\.\d+) \|", said, re.MULTILINE))
    assert set(steps) == set(turnaround.STEPS)
    assert "| **sum** |" in said
