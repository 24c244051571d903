"""`fontanelle norms fit` and `calibrate`: files in, files out, or a list of what is wrong."""

import json
from pathlib import Path

import pytest

from fontanelle.errors import Refused
from fontanelle.norms.calibration import parse
from fontanelle.norms.reference import load, shipped
from service import cli
from service.commands.norms.files import write_texts
from tests.unit.norms.simulated import changed, rows, text

BY = ("--by", "Dr Reader")


def table(folder: Path, content: str) -> str:
    path = folder / "children.csv"
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_a_cohort_becomes_a_reference_and_a_page(tmp_path, capsys) -> None:
    children, out = table(tmp_path, text(rows(120, 7))), tmp_path / "out"

    assert cli.run(["norms", "fit", children, "--name", "our-site", "--out", str(out), *BY]) == 0

    own = load((out / "our-site.json").read_text(encoding="utf-8"))
    page = (out / "our-site.html").read_text(encoding="utf-8")
    assert own.id == "our-site" and own.tiers[0] == "local"
    assert own.version in page and "Dr Reader" in page
    assert sorted(path.name for path in out.iterdir()) == ["our-site.html", "our-site.json"]
    said = capsys.readouterr().out
    assert "120 children of 120 rows" in said
    assert "Computed a second time by statsmodels" in said


def test_all_problems_are_printed_and_nothing_is_written(tmp_path, capsys) -> None:
    def spoil(given) -> None:
        given[0]["sex"] = "2"
        given[1]["left_frontal"] = "-1"

    children, out = table(tmp_path, changed(rows(120, 7), spoil)), tmp_path / "out"

    assert cli.run(["norms", "fit", children, "--name", "ours", "--out", str(out), *BY]) == 3

    assert capsys.readouterr().err.splitlines() == [
        "row 2: sex is '2'; M or F is wanted.",
        "row 3: left_frontal is -1: negative.",
        "cohort.invalid: 2 mistakes, listed above; nothing was written.",
    ]
    assert not out.exists()


def test_99_children_are_too_few_for_a_regression(tmp_path, capsys) -> None:
    children, out = table(tmp_path, text(rows(99, 7))), tmp_path / "out"

    assert cli.run(["norms", "fit", children, "--name", "ours", "--out", str(out), *BY]) == 3

    assert "99 children born at term; at least 100 are wanted." in capsys.readouterr().err
    assert not out.exists()


def test_a_name_that_is_none_is_refused_and_nothing_is_written(tmp_path, capsys) -> None:
    children, out = table(tmp_path, text(rows(120, 7))), tmp_path / "out"

    assert cli.run(["norms", "fit", children, "--name", "../Ours", "--out", str(out), *BY]) == 3

    assert "reference.invalid" in capsys.readouterr().err
    assert not out.exists()


def test_20_normal_children_calibrate_a_site(tmp_path, capsys) -> None:
    normals, out = table(tmp_path, text(rows(20, 5))), tmp_path / "site" / "calibration.json"

    assert cli.run(["norms", "calibrate", "--normals", normals, "--out", str(out), *BY]) == 0

    made = parse(out.read_text(encoding="utf-8"))
    assert made.n == 20 and made.by == "Dr Reader"
    assert made.reference_version == shipped("xi2025").version
    assert [path.name for path in out.parent.iterdir()] == ["calibration.json"]
    said = capsys.readouterr().out
    assert "Site status: provisional" in said
    assert "norms fit" not in said


def test_100_normal_children_are_told_of_the_better_way(tmp_path, capsys) -> None:
    normals, out = table(tmp_path, text(rows(100, 8))), tmp_path / "calibration.json"

    assert cli.run(["norms", "calibrate", "--normals", normals, "--out", str(out), *BY]) == 0

    said = capsys.readouterr().out
    assert "Site status: qualified" in said
    assert "a regression of your own is better: norms fit" in said


def test_another_label_protocol_is_not_calibrated_away(tmp_path, capsys) -> None:
    normals = table(tmp_path, text(rows(30, 5, shift=-0.14)))
    out = tmp_path / "calibration.json"

    assert cli.run(["norms", "calibrate", "--normals", normals, "--out", str(out), *BY]) == 3

    said = capsys.readouterr().err
    assert "another label protocol, not another scanner." in said
    assert "calibration.refused" in said
    assert not out.exists()


def test_an_older_calibration_survives_a_refused_one(tmp_path) -> None:
    out = tmp_path / "calibration.json"
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    ask = ["norms", "calibrate", "--out", str(out), *BY, "--normals"]
    assert cli.run([*ask, table(good, text(rows(20, 5)))]) == 0
    before = out.read_bytes()

    assert cli.run([*ask, table(bad, text(rows(20, 5, shift=0.3)))]) == 3

    assert out.read_bytes() == before


def test_of_several_files_all_are_written_or_none(tmp_path) -> None:
    page, document = tmp_path / "ours.html", tmp_path / "ours.json"
    page.write_text("older", encoding="utf-8")
    document.mkdir()

    with pytest.raises(Refused, match=r"output\.unwritable"):
        write_texts({page: "newer", document: "{}"})

    assert page.read_text(encoding="utf-8") == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.html", "ours.json"]


@pytest.mark.parametrize(
    ("content", "code"), [(None, "input.not_found"), (b"\xff\xfe\x00", "input.unreadable")]
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, capsys, content, code) -> None:
    path = tmp_path / "normals.csv"
    if content is not None:
        path.write_bytes(content)

    ask = ["norms", "calibrate", "--normals", str(path), "--out", str(tmp_path / "c.json"), *BY]
    assert cli.run(ask) == 3

    assert code in capsys.readouterr().err


def test_a_site_may_name_another_reference_by_its_file(tmp_path, capsys) -> None:
    out = tmp_path / "out"
    children = table(tmp_path, text(rows(120, 7)))
    assert cli.run(["norms", "fit", children, "--name", "ours", "--out", str(out), *BY]) == 0
    own = str(out / "ours.json")

    ask = ["norms", "calibrate", "--normals", children, "--reference", own]
    assert cli.run([*ask, "--out", str(tmp_path / "c.json"), *BY]) == 3

    assert "need no offset" in capsys.readouterr().err


def test_the_reference_is_sealed(tmp_path) -> None:
    out = tmp_path / "out"
    children = table(tmp_path, text(rows(120, 7)))
    cli.run(["norms", "fit", children, "--name", "ours", "--out", str(out), *BY])

    members = json.loads((out / "ours.json").read_text(encoding="utf-8"))

    assert members["schema"] == "fontanelle.reference/1"
    assert members["digest"]["value"] in load((out / "ours.json").read_text("utf-8")).version
