"""The site's normal children: of accepted results that a reader marked as of a normal head."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, undefer

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.norms.comparison import Sex
from fontanelle.records.series import is_patient_in_doubt
from fontanelle.records.tables import AnalysisRow, ReviewRow, SeriesRow, StudyRow

WITHHELD: Final = "withheld"
LIMITED: Final = "limited"
_DOUBTED: Final = frozenset(
    {
        Code.AGE_UNKNOWN,
        Code.AGE_IMPRECISE,
        Code.AGE_CONFLICT,
        Code.AGE_PLACEHOLDER,
        Code.SEX_UNKNOWN,
        Code.SEX_CONFLICT,
    }
)
"""Of a child with one of these in its result neither age nor sex is to be used."""


@dataclass(frozen=True, slots=True)
class NormalChild:
    """A child with a normal head, as its earliest result measured it.

    Attributes
    ----------
    age_days
        From birth to acquisition.
    volumes_ml
        Compartments by region, in the order of the package's region set, mL.
    intracranial_ml
        None where the result does not say it.
    is_limited
        Whether the result said so of itself.
    """

    analysis_id: int
    age_days: int
    sex: Sex
    gestational_age_weeks: int | None
    volumes_ml: Mapping[str, float]
    intracranial_ml: float | None
    protocol: str
    package_name: str
    package_sha256: str
    is_limited: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A result that is marked normal and is not used, and why."""

    analysis_id: int
    why: str


@dataclass(frozen=True, slots=True)
class Normals:
    """One result for each normal child, and those that were left out; in the order of their ids."""

    children: tuple[NormalChild, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Marked:
    """A result that is marked normal, and whose it is."""

    row: AnalysisRow
    patient: tuple[str, str | None]
    is_patient_in_doubt: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Of which ages, days, first and last, and by which package."""

    ages: tuple[int, int]
    package: str | None


def normals(session: Session, ages: tuple[int, int], package: str | None = None) -> Normals:
    """Return the site's normal children.

    The latest word on a result counts: it accepts the result and calls the head normal. The result
    is current and not withheld. Of each child, by identifier and issuer, the earliest scan of the
    ages wanted is used.

    Parameters
    ----------
    ages
        First and last age at acquisition, days.
    package
        Name of a package, or the beginning of its digest: results of others are left out.

    Raises
    ------
    Refused
        COHORT_NONE where no such result is there; COHORT_PACKAGES where they are of more than one
        package.
    """
    marked, wanted = _marked(session), _Wanted(ages, package)
    left_out: list[LeftOut] = []
    usable = [each for each in marked if _is_used(each, wanted, left_out)]
    if not usable:
        raise Refused(Code.COHORT_NONE, _none(left_out))
    children = _earliest(usable, left_out)
    _refuse_mixed(children)
    return Normals(
        tuple(sorted(children, key=lambda child: child.analysis_id)),
        tuple(sorted(left_out, key=lambda each: each.analysis_id)),
    )


def _marked(session: Session) -> list[_Marked]:
    later = aliased(ReviewRow)
    # Index ix_review_analysis_id, for the later words.
    found = session.execute(
        select(AnalysisRow, StudyRow)
        .join(ReviewRow, ReviewRow.analysis_id == AnalysisRow.id)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(
            ReviewRow.verdict == Verdict.ACCEPTED,
            ReviewRow.normal.is_(True),
            ~select(later.id)
            .where(later.analysis_id == ReviewRow.analysis_id, later.id > ReviewRow.id)
            .exists(),
            AnalysisRow.state == AnalysisState.SUCCEEDED,
            AnalysisRow.fitness != WITHHELD,
            AnalysisRow.report.is_not(None),
        )
        .options(undefer(AnalysisRow.report))
        .order_by(AnalysisRow.id)
    ).all()
    return [
        _Marked(row, (study.patient_id, study.issuer), is_patient_in_doubt(session, study.id))
        for row, study in found
    ]


def _is_used(marked: _Marked, wanted: _Wanted, left_out: list[LeftOut]) -> bool:
    why = next(_why_not(marked, wanted), None)
    if why is not None:
        left_out.append(LeftOut(marked.row.id, why))
    return why is None


def _why_not(marked: _Marked, wanted: _Wanted) -> Iterator[str]:
    report = _report(marked.row)
    patient, (youngest, oldest) = report["patient"], wanted.ages
    if not _is_of(marked.row, wanted.package):
        yield f"It was measured by {_package(marked.row.package_name, marked.row.package_sha256)}."
    if not marked.patient[0]:
        yield "Its patient has no identifier, so that children cannot be told apart."
    if marked.is_patient_in_doubt:
        yield "Its patient is in doubt."
    yield from (each["sentence"] for each in report["reasons"] if each["code"] in _DOUBTED)
    if patient["age_days"] is None:
        yield Code.AGE_UNKNOWN.meaning
    elif not youngest <= patient["age_days"] <= oldest:
        yield f"Its child has {patient['age_days']} days; {youngest} to {oldest} are wanted."
    if patient["sex"] not in set(Sex):
        yield Code.SEX_UNKNOWN.meaning
    if not report["measurements"]:
        yield "It holds no volumes."


def _earliest(usable: Iterable[_Marked], left_out: list[LeftOut]) -> list[NormalChild]:
    """Return one result a child, of its youngest age; the others are left out."""
    by_patient: dict[tuple[str, str | None], list[NormalChild]] = {}
    for each in usable:
        by_patient.setdefault(each.patient, []).append(_child(each.row))
    found = []
    for scans in by_patient.values():
        first, *others = sorted(scans, key=lambda child: (child.age_days, child.analysis_id))
        found.append(first)
        left_out += [
            LeftOut(
                other.analysis_id, f"Analysis {first.analysis_id} is of the same child, earlier."
            )
            for other in others
        ]
    return found


def _child(row: AnalysisRow) -> NormalChild:
    report = _report(row)
    patient, package = report["patient"], report["package"]
    return NormalChild(
        analysis_id=row.id,
        age_days=patient["age_days"],
        sex=Sex(patient["sex"]),
        gestational_age_weeks=patient["gestational_age_weeks"],
        volumes_ml={each["region"]: each["volume_ml"] for each in report["measurements"]},
        intracranial_ml=report["summary"]["intracranial_ml"],
        protocol=package["protocol"],
        package_name=package["name"],
        package_sha256=package["sha256"],
        is_limited=row.fitness == LIMITED,
    )


def _none(left_out: Sequence[LeftOut]) -> str:
    if not left_out:
        return "No accepted result is marked as of a normal head."
    first = left_out[0]
    return (
        f"None of {len(left_out)} accepted results marked as of a normal head can be used; of "
        f"analysis {first.analysis_id}: {first.why}"
    )


def _refuse_mixed(children: Sequence[NormalChild]) -> None:
    names = {child.package_sha256: child.package_name for child in children}
    if len(names) > 1:
        raise Refused(
            Code.COHORT_PACKAGES,
            "The normal children were measured by "
            + " and by ".join(_package(name, sha256) for sha256, name in names.items())
            + ": one package has to be chosen.",
        )


def _is_of(row: AnalysisRow, package: str | None) -> bool:
    return package is None or package == row.package_name or row.package_sha256.startswith(package)


def _package(name: str, sha256: str) -> str:
    return f"{name} ({sha256[:12]})"


def _report(row: AnalysisRow) -> dict[str, Any]:
    return row.report or {}
