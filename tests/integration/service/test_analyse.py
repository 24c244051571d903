"""`fontanelle analyse` around a pipeline that is a fake: files, streams, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fontanelle.errors import Code, Reason, Refused
from fontanelle.imaging.selection import Decision
from fontanelle.reports.analysis_object import to_json
from fontanelle.reports.result import Fitness, Result, State
from service import cli
from service.commands import analyse
from tests.unit.reports.builders import case
from worker.pipeline import Outcome
from worker.rendering import Rendered

NOT_TAKEN = Decision("1.2.3", chosen=False, reasons=(Reason(Code.LOCALIZER, "One localizer."),))
WHY = Reason(Code.QUALITY_PLACE, "The cerebellum lies 61 mm too far forward.")


def outcome_of(result: Result, *names: str) -> Outcome:
    files = {name: Rendered("file", name.encode()) for name in names}
    if files:
        files["report.json"] = Rendered("report", to_json(result).encode())
    return Outcome(result, files, (NOT_TAKEN,))


def succeeded() -> Outcome:
    result = case("axial", fitness=Fitness.LIMITED).result
    return outcome_of(result, "segmentation.dcm", "report.dcm", "report.json", "overlay.png")


def withheld() -> Outcome:
    changes = {"volumes": None, "comparison": None, "fitness": Fitness.WITHHELD, "reasons": (WHY,)}
    return outcome_of(case("axial", **changes).result, "report.dcm", "report.json")


def rejected() -> Outcome:
    changes = {"volumes": None, "comparison": None, "fitness": None, "engine": None}
    result = case("axial", state=State.REJECTED, reasons=(WHY,), **changes).result
    return outcome_of(result)


def refused() -> Outcome:
    raise Refused(Code.INPUT_NO_DICOM, "None of 3 files is a DICOM instance.")


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Callable[[], Outcome], str], int]:
    def with_outcome(outcome: Callable[[], Outcome], *options: str) -> int:
        monkeypatch.setattr(analyse, "measure", lambda *_: outcome())
        return cli.run(["analyse", str(tmp_path), "--out", str(tmp_path / "out"), *options])

    return with_outcome


@pytest.mark.parametrize(
    ("outcome", "code", "names"),
    [
        (succeeded, 0, {"segmentation.dcm", "report.dcm", "report.json", "overlay.png"}),
        (withheld, 3, {"report.dcm", "report.json"}),
        (rejected, 3, None),
        (refused, 3, None),
    ],
)
def test_exit_code_and_files_follow_the_outcome(run, tmp_path, outcome, code, names) -> None:
    assert run(outcome) == code

    out = tmp_path / "out"
    assert ({path.name for path in out.iterdir()} if out.exists() else None) == names


@pytest.mark.parametrize(
    ("outcome", "names"),
    [(withheld, {"report.dcm", "report.json"}), (rejected, set()), (refused, set())],
)
def test_a_used_folder_holds_nothing_of_the_run_before(run, tmp_path, outcome, names) -> None:
    run(succeeded)
    (tmp_path / "out" / "notes.txt").write_text("not ours")

    run(outcome)

    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {"notes.txt"}


@pytest.mark.parametrize("command", [["analyse"], ["demo", "--series"]])
def test_an_input_that_would_be_removed_is_refused(run, capsys, tmp_path, command) -> None:
    run(succeeded)
    labels = tmp_path / "out" / "labels.nii.gz"
    labels.write_bytes(b"an input")

    assert cli.run([*command, str(labels), "--out", str(tmp_path / "out")]) == 3
    assert "output.unwritable" in capsys.readouterr().err
    assert labels.read_bytes() == b"an input"


def test_the_first_line_says_what_this_is_not(run, capsys) -> None:
    run(succeeded)

    assert capsys.readouterr().out.startswith("Research software, not a medical device")


def test_what_became_of_the_other_series_and_where_the_files_are_is_said(
    run, capsys, tmp_path
) -> None:
    run(succeeded)

    out = capsys.readouterr().out
    assert "not taken: series 1.2.3: admission.localizer: One localizer." in out
    assert f"wrote {tmp_path / 'out' / 'report.dcm'}" in out


@pytest.mark.parametrize("outcome", [succeeded, withheld, rejected])
def test_json_prints_the_analysis_object_and_nothing_else(run, capsys, outcome) -> None:
    run(outcome, "--json")

    out, err = capsys.readouterr()
    assert json.loads(out)["state"] in {"succeeded", "rejected"}
    assert "not a medical device" in err


def test_progress_goes_to_stderr(capsys) -> None:
    with analyse.progress("measuring"):
        pass

    out, err = capsys.readouterr()
    assert out == "" and err == "measuring ...\n"


def test_an_unwritable_folder_is_refused_before_any_work(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(analyse, "measure", lambda *_: pytest.fail("the work was begun"))
    (tmp_path / "out").write_text("a file")

    code = cli.run(["analyse", str(tmp_path), "--out", str(tmp_path / "out")])

    assert code == 3
    assert "output.unwritable" in capsys.readouterr().err
