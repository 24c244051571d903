"""The benchmark is the evaluation itself, with the real head of the tests beside it."""

from pathlib import Path

import pytest

from benchmarks import accuracy


def test_the_real_head_and_a_folder_are_added_unless_said_otherwise(tmp_path: Path) -> None:
    plain = accuracy.arguments(["--quick"])
    assert plain[:3] == ["models", "evaluate", "--quick"]
    assert plain[plain.index("--series") + 1].endswith("ge_head_tilt.tar.xz")
    said = accuracy.arguments(["--out", str(tmp_path), "--series", "mine"])
    assert said == ["models", "evaluate", "--out", str(tmp_path), "--series", "mine"]


def test_a_section_that_there_is_not_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["accuracy", "--only", "beauty"])
    with pytest.raises(SystemExit) as ended:
        accuracy.main()
    assert ended.value.code == 2
    assert "beauty" in capsys.readouterr().err
