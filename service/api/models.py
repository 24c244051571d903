"""What HTTP says of series, analyses and deliveries: the contract, not the columns."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fontanelle.errors import Reason
from fontanelle.lifecycle import AnalysisState, DeliveryState, SeriesState, Verdict
from fontanelle.records.analyses import AnalysisSeen
from fontanelle.records.deliveries import DeliverySeen
from fontanelle.records.reviews import Review
from fontanelle.records.series import SeriesSeen

Uid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$", examples=["1.2.826.0.1.3680043.8.498.6"])]
"""A DICOM UID."""
Id = Annotated[int, Field(ge=1, le=(1 << 63) - 1)]
"""A number of ours."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
"""A package or a reference."""


class Fitness(StrEnum):
    """What the result of a succeeded analysis may be used for."""

    FULL = "full"
    LIMITED = "limited"
    WITHHELD = "withheld"


class Answer(BaseModel):
    """Something that we say."""

    model_config = ConfigDict(frozen=True)


class ReasonOut(Answer):
    """Why: a code for machines, a sentence for people."""

    code: str
    sentence: str

    @classmethod
    def of(cls, reason: Reason) -> Self:
        return cls(code=reason.code, sentence=reason.sentence)


class ConflictOut(Answer):
    """Instances that came under UIDs which were here with other content; all are kept."""

    code: str
    sentence: str
    instances: int


class SeriesOut(Answer):
    """A series: what came in and what was decided on it."""

    series_instance_uid: str
    study_instance_uid: str
    patient_id: str
    issuer: str | None
    accession_number: str | None
    study_date: str | None
    modality: str | None
    series_number: str | None
    description: str | None
    source: str
    state: SeriesState
    revision: int
    instances: int
    first_at: datetime
    last_at: datetime
    complete_at: datetime
    reasons: list[ReasonOut]
    conflicts: list[ConflictOut]

    @classmethod
    def of(cls, seen: SeriesSeen) -> Self:
        return cls(
            series_instance_uid=seen.series_instance_uid,
            study_instance_uid=seen.study_instance_uid,
            patient_id=seen.patient_id,
            issuer=seen.issuer,
            accession_number=seen.accession_number,
            study_date=seen.study_date,
            modality=seen.modality,
            series_number=seen.series_number,
            description=seen.description,
            source=seen.source,
            state=seen.state,
            revision=seen.revision,
            instances=seen.instances,
            first_at=seen.created_at,
            last_at=seen.received_at,
            complete_at=seen.due_at,
            reasons=[ReasonOut.of(reason) for reason in seen.reasons],
            conflicts=[
                ConflictOut(code=code, sentence=code.meaning, instances=count)
                for code, count in seen.conflicts
            ],
        )


class AnalysisSummary(Answer):
    """An analysis as lists show it."""

    id: int
    state: AnalysisState
    fitness: Fitness | None
    verdict: Verdict
    patient_id: str
    issuer: str | None
    study_instance_uid: str
    series_instance_uid: str
    series_revision: int
    accession_number: str | None
    study_date: str | None
    package: str
    reference: str
    requested_by: str
    attempts: int
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    reason: ReasonOut | None
    href: str

    @classmethod
    def of(cls, seen: AnalysisSeen) -> Self:
        return cls(
            id=seen.analysis_id,
            state=seen.state,
            fitness=None if seen.fitness is None else Fitness(seen.fitness),
            verdict=seen.verdict,
            patient_id=seen.patient_id,
            issuer=seen.issuer,
            study_instance_uid=seen.study_instance_uid,
            series_instance_uid=seen.series_instance_uid,
            series_revision=seen.series_revision,
            accession_number=seen.accession_number,
            study_date=seen.study_date,
            package=seen.package_name,
            reference=seen.reference_id,
            requested_by=seen.requested_by,
            attempts=seen.attempts,
            queued_at=seen.queued_at,
            started_at=seen.started_at,
            ended_at=seen.ended_at,
            reason=None if seen.reason is None else ReasonOut.of(seen.reason),
            href=analysis_href(seen.analysis_id),
        )


class SeriesWithAnalyses(SeriesOut):
    """A series with what was made of it, the newest first."""

    analyses: list[AnalysisSummary]

    @classmethod
    def with_analyses(cls, seen: SeriesSeen, analyses: list[AnalysisSeen]) -> Self:
        return cls(
            **SeriesOut.of(seen).model_dump(),
            analyses=[AnalysisSummary.of(each) for each in analyses],
        )


class DeliveryOut(Answer):
    """One object on its way to one destination."""

    id: int
    analysis_id: int
    object: str
    destination: str
    state: DeliveryState
    reason: ReasonOut | None
    attempts: int
    status: str | None = Field(description="The last DIMSE status, hexadecimal.")
    due_at: datetime
    acknowledged_at: datetime | None

    @classmethod
    def of(cls, seen: DeliverySeen) -> Self:
        return cls(
            id=seen.delivery_id,
            analysis_id=seen.analysis_id,
            object=seen.kind,
            destination=seen.destination,
            state=seen.state,
            reason=None if seen.reason is None else ReasonOut.of(seen.reason),
            attempts=seen.attempts,
            status=None if seen.status is None else f"0x{seen.status:04X}",
            due_at=seen.due_at,
            acknowledged_at=seen.acknowledged_at,
        )


class ReviewOut(Answer):
    """One reader's word on a result; `unreviewed` where nobody has spoken."""

    verdict: Verdict
    person: str | None
    comment: str | None
    normal: bool | None = Field(description="Whether the reader called the child's head normal.")
    at: datetime | None

    @classmethod
    def of(cls, review: Review) -> Self:
        return cls(
            verdict=review.verdict,
            person=review.person,
            comment=review.comment,
            normal=review.normal,
            at=review.at,
        )


class AnalysesPage(Answer):
    """Analyses, the newest first."""

    items: list[AnalysisSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class SeriesPage(Answer):
    """Series, the newest first."""

    items: list[SeriesOut]
    next: str | None


class DeliveriesPage(Answer):
    """Deliveries, the newest first."""

    items: list[DeliveryOut]
    next: str | None


class AnalysesFound(Answer):
    """What a search found, the newest first."""

    items: list[AnalysisSummary]


class SeriesFound(Answer):
    """The series of a UID: one, unless two studies claim it."""

    items: list[SeriesWithAnalyses]


class ReferenceOut(Answer):
    """A normative reference."""

    id: str
    version: str
    title: str | None
    origin: str = Field(description="`shipped` with the product, or `imported`.")
    loaded_by: str
    loaded_at: datetime | None = Field(description="null where no worker has loaded it yet.")


class CalibrationOut(Answer):
    """Offset of this site from a reference under a package; the first of a package counts."""

    version: str
    package_sha256: str
    children: int
    made_at: datetime
    made_by: str
    loaded_by: str
    loaded_at: datetime


class ReferencesOut(Answer):
    """The references that this installation has."""

    items: list[ReferenceOut]


class ReferenceDocument(ReferenceOut):
    """A normative reference with all that it says, and this site's calibrations of it."""

    document: dict[str, Any]
    calibrations: list[CalibrationOut]


class TakenOut(Answer):
    """What came in, or would have: a reference, or a calibration of one."""

    kind: str
    id: str
    version: str
    is_new: bool = Field(description="false where it was here already.")
    dry_run: bool


Since = AwareDatetime


def analysis_href(analysis_id: int) -> str:
    """Return where an analysis is."""
    return f"/api/v1/analyses/{analysis_id}"
