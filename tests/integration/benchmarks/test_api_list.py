"""The benchmark of the list runs on a small house, and prints nothing of a busy machine."""

import os

import pytest

from benchmarks import api_list


def test_a_small_house_gets_its_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["api_list", "--rows", "200", "--calls", "3", "--busy-anyway"])

    api_list.main()

    out = capsys.readouterr().out
    for question in api_list.questions(200):
        assert f"| {question.name} |" in out
    assert "/healthz" in out and "Machine: " in out


def test_a_busy_machine_gets_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["api_list"])
    monkeypatch.setattr(os, "getloadavg", lambda: (1.7, 0.0, 0.0))

    with pytest.raises(SystemExit, match=r"load 1\.7.*--busy-anyway"):
        api_list.main()

    assert capsys.readouterr().out == ""
