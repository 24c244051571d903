"""Results of simulated normal children in real records, each marked normal by a reader."""

import json
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import update

from fontanelle.errors import Code
from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.norms.cohort_rows import OPTIONAL, REQUIRED
from fontanelle.records import leases, reviews
from fontanelle.records.database import Records
from fontanelle.records.leases import Ending
from fontanelle.records.tables import StudyRow
from tests.integration.records.builders import running

PACKAGE: Final = "toddler"


def measured(
    records: Records,
    number: int,
    child: dict[str, str],
    *,
    fitness: str = "full",
    reasons: Iterable[Code] = (),
    **study: Any,
) -> int:
    """Return an analysis of a child, as its row of a table says; `study` changes its study."""
    work = running(records, series=number, study=number, first=10 * number)
    ending = Ending(
        state=AnalysisState.SUCCEEDED,
        fitness=fitness,
        reasons=(),
        report_json=json.dumps(_report(child, reasons)),
        objects=(),
    )
    with records.begin() as session:
        leases.finish(session, work.lease, ending, ())
        session.execute(
            update(StudyRow)
            .where(StudyRow.study_instance_uid == f"1.2.{number}")
            .values({"patient_id": f"P{number}", **study})
        )
    return work.lease.analysis_id


def mark(
    records: Records,
    *analysis_ids: int,
    normal: bool | None = True,
    verdict: Verdict = Verdict.ACCEPTED,
) -> None:
    """Have a reader say a word on results."""
    with records.begin() as session:
        for analysis_id in analysis_ids:
            reviews.add(session, analysis_id, verdict, comment="", person="Dr Ada", normal=normal)


def marked(records: Records, children: Iterable[dict[str, str]], first: int = 1) -> list[int]:
    """Return the analyses of children whom a reader called normal."""
    found = [measured(records, first + at, child) for at, child in enumerate(children)]
    mark(records, *found)
    return found


def _report(child: dict[str, str], reasons: Iterable[Code]) -> dict[str, Any]:
    weeks, age = child.get("gestational_age_weeks"), child["age_days"]
    volumes_ml = {
        name: float(cell) for name, cell in child.items() if name not in {*REQUIRED, *OPTIONAL}
    }
    return {
        "patient": {
            "age_days": int(age) if age else None,
            "sex": child["sex"] or None,
            "gestational_age_weeks": int(weeks) if weeks else None,
        },
        "package": {
            "name": PACKAGE,
            "sha256": child["package_sha256"],
            "protocol": child["protocol"],
        },
        "measurements": [
            {"region": name, "volume_ml": volume_ml} for name, volume_ml in volumes_ml.items()
        ],
        "summary": {"intracranial_ml": 1.05 * sum(volumes_ml.values())},
        "reasons": [{"code": str(code), "sentence": code.meaning} for code in reasons],
    }
