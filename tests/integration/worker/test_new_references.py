"""What comes in while a worker runs holds from its next analysis on, and the result says which."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import AnalysisState
from fontanelle.norms.calibration import parse
from fontanelle.norms.reference import load, sealed
from fontanelle.records import importing, references, tooling
from fontanelle.records.database import Records
from fontanelle.settings import ComparisonSettings, Settings, WorkerSettings
from models.phantom.head import Recipe
from models.phantom.scan import View, grid
from models.phantom.series import Header, instances
from service import cli
from tests.integration.worker.conftest import phantom
from tests.integration.worker.test_attempt import COARSE, House, RememberingEngine, opened
from tests.unit.norms import others
from tests.unit.norms.cases import XI, document
from tests.unit.norms.simulated import changed, rows
from worker.attempt import Workshop, tooling_of
from worker.composition import choose
from worker.pipeline import Tools

OWN = "our-site"


@pytest.fixture(scope="module")
def engine(tools: Tools) -> RememberingEngine:
    return RememberingEngine(tools.engine)


@pytest.fixture
def house(
    database_url: str, tools: Tools, engine: RememberingEngine, tmp_path: Path
) -> Iterator[House]:
    with opened(database_url, tools, engine, tmp_path, tmp_path / "results") as made:
        yield made


def arrived(house: House, label: str) -> int:
    """Have the same head come in as another child's; return its analysis."""
    header = Header(label=label, patient_id=f"PHANTOM-{label}", patient_name=f"Phantom^{label}")
    return house.arrived(list(instances(phantom(Recipe()), grid(View.AXIAL, COARSE), header)))


def measured(house: House, workshop: Workshop, label: str) -> dict[str, Any]:
    """Have a head measured by a worker that is there already; return the report."""
    analysis = arrived(house, label)
    workshop.run(analysis)
    assert house.seen(analysis).state is AnalysisState.SUCCEEDED
    return house.report(analysis)


def take(house: House, text: str) -> str:
    with house.records.begin() as session:
        return importing.take(session, text, by="Dr Ada").version


def own_reference(revision: int, title: str = "Ours") -> str:
    members: dict[str, Any] = document() | {"id": OWN, "revision": revision, "title": title}
    return sealed(members)


def circumferences(unit: str = "cm", regions: int = 1) -> str:
    """Return an invented table of head circumferences, of all ages of the phantom."""
    members: dict[str, Any] = others.lms() | {"id": "heads", "asymmetry": []}
    members["validity"] = members["validity"] | {"age_days_min": 548, "age_days_max": 913}
    members["regions"] = members["regions"][:regions]
    for region in members["regions"]:
        region["lms"] |= {
            "unit": unit,
            "rows": [
                {"sex": sex, "age_days": age, "L": 1.0, "M": 47.0, "S": 0.03}
                for sex in ("M", "F")
                for age in (500, 1000)
            ],
        }
    return others.text_of(members)


# A calibration -------------------------------------------------------------------------------


def test_a_calibration_from_a_table_moves_the_next_childs_z_by_the_offset_and_is_named(
    house: House, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", database_url)
    table, made = tmp_path / "normals.csv", tmp_path / "calibration.json"

    def by_this_package(given: list[dict[str, str]]) -> None:
        for child in given:
            child["package_sha256"] = house.tools.package.sha256

    table.write_text(changed(rows(20, 5, shift=0.02), by_this_package), encoding="utf-8")
    workshop = house.workshop()
    before = measured(house, workshop, "before")

    ask = ["norms", "calibrate", "--normals", str(table), "--out", str(made), "--by", "Dr Ada"]
    assert cli.run(ask) == 0
    assert cli.run(["norms", "import", str(made)]) == 0
    after = measured(house, workshop, "after")

    with house.records.begin() as session:
        (stored,) = references.calibrations(session, XI.version)
    assert (before["reference"]["site_status"], before["reference"]["calibration"]) == (
        "none",
        None,
    )
    assert after["reference"]["site_status"] == "provisional"
    assert after["reference"]["calibration"] == stored.version
    offsets_ml = {each.region: each.offset_ml for each in parse(stored.document).offsets}
    sds_ml = {norm.name: norm.residual_sd.value for norm in XI.linear_regions}
    shifts = []
    for one, other in zip(before["measurements"], after["measurements"], strict=True):
        region = one["region"]
        assert other["volume_ml"] == one["volume_ml"]
        shift = -offsets_ml[region] / sds_ml[region]
        assert other["z"] - one["z"] == pytest.approx(shift, abs=2e-4)
        shifts.append(abs(shift))
    assert max(shifts) > 0.1
    # Not the same analysis: what was compared with is an input of it.
    assert before["digest"] != after["digest"]


def test_without_a_calibration_the_report_says_that_there_is_none(house: House) -> None:
    report = measured(house, house.workshop(), "alone")

    assert report["reference"]["calibration"] is None
    said = {each["path"]: each["sentence"] for each in report["unknown"]}
    assert "no calibration" in said["reference.calibration"]


# A reference of the site's own ---------------------------------------------------------------


def test_a_newer_revision_is_used_by_the_next_analysis_without_a_restart(house: House) -> None:
    first = take(house, own_reference(1))
    settings = WorkerSettings(reference=OWN, lease_s=60, heartbeat_s=0.05)
    tools = replace(house.tools, reference=load(own_reference(1)))
    workshop = house.workshop(tools=tools, settings=settings)
    with house.records.begin() as session:
        tooling.register(session, tooling_of(tools))
    assert measured(house, workshop, "one")["reference"]["version"] == first

    waiting = arrived(house, "two")
    second = take(house, own_reference(2, "Ours again"))
    workshop.run(waiting)

    found = house.report(waiting)["reference"]
    assert (found["id"], found["version"]) == (OWN, second)
    assert house.seen(waiting).reference_version == second
    with house.records.begin() as session:
        served = tooling.served(session)
    assert served is not None and served.reference_version == second
    # What was measured with the first keeps pointing at it, and that one is still there.
    with house.records.begin() as session:
        assert references.document(session, first) == own_reference(1)


def test_a_worker_whose_settings_name_a_version_stays_with_it(house: House) -> None:
    first = take(house, own_reference(1))
    settings = WorkerSettings(reference=first, lease_s=60, heartbeat_s=0.05)
    tools = replace(house.tools, reference=load(own_reference(1)))
    workshop = house.workshop(tools=tools, settings=settings)
    with house.records.begin() as session:
        tooling.register(session, tooling_of(tools))
    take(house, own_reference(2, "Ours again"))

    assert measured(house, workshop, "one")["reference"]["version"] == first


# What the settings choose -------------------------------------------------------------------


def chosen(records: Records, head_chart: str | None = None, reference: str = "xi2025") -> Any:
    settings = Settings(
        worker=WorkerSettings(reference=reference),
        comparison=ComparisonSettings(head_chart=head_chart),
    )
    return choose(settings, records)


def test_the_chosen_table_of_head_circumferences_is_the_one_that_is_printed(house: House) -> None:
    version = take(house, circumferences())
    chart = chosen(house.records, "heads").head_chart

    by_cdc = measured(house, house.workshop(), "cdc")
    found = measured(house, house.workshop(head_chart=chart), "own")

    assert by_cdc["head_size"]["circumference"]["chart"] == "CDC 2000"
    used = found["head_size"]["circumference"]
    assert used["chart"] == f"heads {version[:19]}"
    assert used["expected_cm"] == 47.0
    assert used["z"] == pytest.approx((used["cm"] - 47.0) / (0.03 * 47.0), abs=0.05)
    assert found["digest"] != by_cdc["digest"]


@pytest.mark.parametrize("by", ["name", "version"])
def test_a_table_is_chosen_by_its_name_or_version(house: House, by: str) -> None:
    version = take(house, circumferences())

    found = chosen(house.records, "heads" if by == "name" else version)

    assert found.head_chart.version == version
    assert found.reference.id == "xi2025"


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        (None, "heads", "no such reference is here"),
        (circumferences(unit="mL"), "heads", "which is no table of head circumferences"),
        (circumferences(regions=2), "heads", "which is no table of head circumferences"),
        (None, "xi2025", "which is no table of head circumferences"),
        (others.text_of(others.mean_sd()), "abdomen-means", "no table of head circumferences"),
    ],
)
def test_a_table_that_is_absent_or_none_is_refused_at_the_start(
    house: House, text: str | None, wanted: str, said: str
) -> None:
    if text is not None:
        take(house, text)

    with pytest.raises(Refused, match=said) as caught:
        chosen(house.records, wanted)

    assert caught.value.reason.code is Code.SETTINGS_INVALID
    assert "comparison.head_chart" in caught.value.reason.sentence


def test_an_imported_reference_is_chosen_by_name_and_an_absent_one_is_refused(
    house: House,
) -> None:
    version = take(house, own_reference(1))

    assert chosen(house.records, reference=OWN).reference.version == version
    with pytest.raises(Refused) as caught:
        chosen(house.records, reference="absent")
    assert caught.value.reason.code is Code.REFERENCE_UNKNOWN
