"""`fontanelle norms compare`: one child, or a whole table; numbers, or what is wrong."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fontanelle.norms.reference import shipped
from service.cli import command
from tests.unit.norms.cases import (
    BOY_OF_723_DAYS,
    BOYS_VOLUMES_ML,
    GIRL_OF_560_DAYS,
    XI,
    rows,
    volumes_of,
)

BOY = ("--age-days", "723", "--sex", "M")


def run(*arguments: str, volumes: dict[str, Any] | None = None) -> Result:
    said = () if volumes is None else ("--volumes", json.dumps(volumes))
    return CliRunner().invoke(command, ["norms", "compare", *arguments, *said])


def printed(*arguments: str, volumes: dict[str, Any] = BOYS_VOLUMES_ML) -> dict[str, Any]:
    result = run(*arguments, "--json", volumes=volumes)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def table(folder: Path, *children: str) -> str:
    file = folder / "children.csv"
    header = ",".join(("child", "age_days", "sex", *XI.region_names))
    file.write_text("\n".join((header, *children)) + "\n", encoding="utf-8")
    return str(file)


def child(name: str, age: int, sex: str, of: str) -> str:
    return ",".join((name, str(age), sex, *(str(ml) for ml in volumes_of(of).values())))


def test_the_worked_boy_gets_his_measurements_as_json() -> None:
    found = printed(*BOY)

    for measured, (name, expected) in zip(
        found["measurements"], rows(BOY_OF_723_DAYS), strict=True
    ):
        assert measured["region"] == name
        assert measured["volume_ml"] == expected[0]
        assert measured["expected_ml"] == pytest.approx(expected[1], abs=6e-4)
        assert (measured["z"], measured["centile"]) == (expected[4], expected[7])
        assert measured["pooled"] == {"z": expected[8], "centile": expected[9]}
        assert measured["flag"] == "uncalibrated"
        # What is shown before calibration holds the site's unknown offset.
        assert measured["z_high"] - measured["z_low"] > 2.5
    assert found["total"]["z"] == pytest.approx(-0.7884, abs=1e-4)
    assert found["reference"]["version"] == shipped("xi2025").version
    assert found["summary"]["share_of_children_with_as_many"] is None
    codes = [reason["code"] for reason in found["reasons"]]
    assert codes == ["comparison.site_uncalibrated", "comparison.protocol_approximate"]


def test_a_person_reads_a_table_with_its_reference_and_reasons() -> None:
    result = run(*BOY, volumes=BOYS_VOLUMES_ML)

    assert result.exit_code == 0
    assert "Research software, not a medical device" in result.output
    assert shipped("xi2025").version in result.output
    assert "left parietal" in result.output and "-1.91" in result.output
    assert "comparison.site_uncalibrated: " in result.output


def test_a_child_born_preterm_is_shown_at_both_ages() -> None:
    found = printed(*BOY, "--gestational-age-weeks", "32")

    assert found["summary"]["corrected_age_days"] == 667
    assert len(found["at_chronological_age"]) == 11
    assert found["at_chronological_age"][0]["z"] == pytest.approx(-0.4641, abs=1e-4)
    assert found["measurements"][0]["z"] > found["at_chronological_age"][0]["z"]


def test_without_an_age_there_are_volumes_and_a_reason() -> None:
    found = printed("--sex", "M")

    assert {measured["z"] for measured in found["measurements"]} == {None}
    assert [reason["code"] for reason in found["reasons"]] == ["comparison.age_unknown"]


def test_a_whole_table_is_answered_by_a_table(tmp_path: Path) -> None:
    file = table(
        tmp_path, child("a", 723, "M", BOY_OF_723_DAYS), child("b", 560, "F", GIRL_OF_560_DAYS)
    )

    result = run("--csv", file)

    assert result.exit_code == 0
    answer = list(csv.DictReader(io.StringIO(result.output)))
    z = {(each["child"], each["name"]): each["z"] for each in answer}
    assert (z["a", "left_frontal"], z["b", "cerebellum"]) == ("-0.4641", "-1.8361")
    assert {each["reference_version"] for each in answer} == {shipped("xi2025").version}


def test_a_table_as_json_says_of_each_child_what_it_is_told_alone(tmp_path: Path) -> None:
    result = run("--json", "--csv", table(tmp_path, child("a", 723, "M", BOY_OF_723_DAYS)))

    (found,) = json.loads(result.output)
    assert found.pop("child") == "a"
    assert found == printed(*BOY)


def test_a_table_with_mistakes_is_refused_with_all_of_them(tmp_path: Path) -> None:
    wrong = child("a", -3, "M", BOY_OF_723_DAYS), child("a", 560, "X", GIRL_OF_560_DAYS)

    result = run("--csv", table(tmp_path, *wrong))

    said = str(getattr(result.exception, "reason", ""))
    assert result.output == ""
    for part in ("row 2: age_days is -3", "row 3: sex is 'X'", "row 3: the child of row 2 again"):
        assert part in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"insula": 3.0}, "insula is no region"),
        ({"brainstem": 14900.0}, "seems to be in mm3"),
        ({"brainstem": -1.0}, "brainstem is no volume"),
    ],
)
def test_volumes_that_cannot_be_compared_are_refused(changes: dict[str, float], said: str) -> None:
    result = run(*BOY, volumes=BOYS_VOLUMES_ML | changes)

    assert said in str(getattr(result.exception, "reason", ""))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (*BOY, "--volumes", "[1, 2]"),
        (*BOY, "--volumes", '{"brainstem": NaN}'),
        (*BOY, "--volumes", '{"brainstem": true}'),
        ("--volumes", "{}", "--csv", "x.csv"),
        (*BOY, "--csv", "x.csv"),
        (*BOY, "--volumes", "{}", "--site-status", "qualified"),
        (*BOY, "--volumes", "{}", "--tier", "published"),
    ],
)
def test_wrong_usage_is_said_so(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_tier_that_is_asked_for_decides_and_is_printed() -> None:
    found = printed(*BOY, "--tier", "pooled")

    assert found["reference"]["tier"] == "pooled"
    assert found["measurements"][0]["z"] == pytest.approx(-0.0005, abs=1e-4)
