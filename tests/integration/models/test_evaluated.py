"""What an evaluation's report says of a package: it is qualified by figures, not by declaration."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, Refused  # noqa: E402
from models.evaluation.report import Gate, Section, Subject, as_json, at_most  # noqa: E402
from models.export.evaluated import REQUIRED, read_evaluation  # noqa: E402

pytestmark = pytest.mark.torch

NETWORKS = {"model.onnx": "a" * 64, "localiser.onnx": "b" * 64}
HELD = at_most("error", 2.5, 1.0)


def section(name: str, *gates: Gate) -> Section:
    values = {"measurement_error": {"brainstem": 1.07}} if name == "repeat" else {}
    return Section(name, name, "Says so.", (), gates, values)


def written(path: Path, *sections: Section, quick: bool = False, other: str = "") -> Path:
    networks = NETWORKS | ({"model.onnx": other} if other else {})
    path.write_text(as_json(Subject("Accuracy", (), networks, quick), sections))
    return path


def whole(gate: Gate = HELD) -> list[Section]:
    return [section(name, gate if name == "planted" else HELD) for name in REQUIRED]


def test_all_that_is_asked_and_reached_qualifies(tmp_path: Path) -> None:
    found = read_evaluation([written(tmp_path / "accuracy.json", *whole())])
    assert found.qualified
    assert found.networks == NETWORKS
    assert found.measurement_error_percent == {"brainstem": 1.07}
    assert found.metrics["accuracy"] == {"error": "1.00 %; asked at most 2.5 %: reached"}


def test_sections_may_be_spread_over_reports_of_the_same_networks(tmp_path: Path) -> None:
    *first, last = whole()
    files = [written(tmp_path / "a.json", *first), written(tmp_path / "b.json", last)]
    assert read_evaluation(files).qualified
    assert not read_evaluation(files[:1]).qualified


@pytest.mark.parametrize("gate", [at_most("error", 2.5, 8.0), at_most("error", 2.5, float("nan"))])
def test_one_figure_missed_or_not_measured_does_not_qualify(tmp_path: Path, gate: Gate) -> None:
    found = read_evaluation([written(tmp_path / "accuracy.json", *whole(gate))])
    assert not found.qualified
    assert "not" in found.metrics["planted"]["error"]


def test_a_required_section_that_judges_nothing_does_not_qualify(tmp_path: Path) -> None:
    *others, _ = whole()
    file = written(tmp_path / "accuracy.json", *others, section(REQUIRED[-1]))
    assert not read_evaluation([file]).qualified


def test_of_two_tries_of_a_section_the_better_one_cannot_be_chosen(tmp_path: Path) -> None:
    files = [
        written(tmp_path / "a.json", section("planted", at_most("error", 2.5, 8.0))),
        written(tmp_path / "b.json", *whole()),
    ]
    with pytest.raises(Refused, match="section planted is given twice") as refusal:
        read_evaluation(files)
    assert refusal.value.reason.code is Code.INPUT_UNREADABLE


def test_figures_of_two_steps_are_not_those_of_the_second_alone(tmp_path: Path) -> None:
    found = read_evaluation([written(tmp_path / "accuracy.json", *whole())])
    found.require_same(NETWORKS)
    with pytest.raises(Refused, match=r"another localiser\.onnx") as refusal:
        found.require_same({"model.onnx": NETWORKS["model.onnx"]})
    assert refusal.value.reason.code is Code.NETWORK_OTHER


def test_a_quick_run_proves_nothing(tmp_path: Path) -> None:
    assert not read_evaluation([written(tmp_path / "a.json", *whole(), quick=True)]).qualified


def test_reports_of_different_networks_do_not_go_together(tmp_path: Path) -> None:
    files = [
        written(tmp_path / "a.json", *whole()),
        written(tmp_path / "b.json", section("atlas"), other="c" * 64),
    ]
    with pytest.raises(Refused, match="of different networks") as refusal:
        read_evaluation(files)
    assert refusal.value.reason.code is Code.NETWORK_OTHER


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "fontanelle.accuracy/1"}'])
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(Refused, match=r"other\.json is no report") as refusal:
        read_evaluation([file])
    assert refusal.value.reason.code is Code.INPUT_UNREADABLE
