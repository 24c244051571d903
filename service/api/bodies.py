"""What HTTP is told: the bodies of requests. An unknown name is a mistake, not a wish."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictBool, model_validator

from service.api.models import Name, Uid

ShortText = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A DICOM identifier (VR LO or SH)."""
Comment = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]


class Body(BaseModel):
    """Something that we are told; an unknown name is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReviewIn(Body):
    """A reader's word."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"verdict": "accepted", "comment": "", "normal": True},
                {"verdict": "rejected", "comment": "The cerebellum is cut."},
            ]
        }
    )

    verdict: Literal["accepted", "rejected"]
    comment: Comment = ""
    normal: StrictBool | None = Field(
        None,
        description="Whether the child's head is a normal one. Accepted results of normal heads "
        "make this site's own reference. The latest review counts: null takes the mark of an "
        "earlier one away.",
    )


class AnalysisIn(Body):
    """What to analyse, by exactly one identifier."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"series_instance_uid": "1.2.826.0.1.3680043.8.498.6"},
                {"accession_number": "A4711", "gestational_age_weeks": 39},
            ]
        }
    )

    series_instance_uid: Uid | None = None
    study_instance_uid: Uid | None = None
    accession_number: ShortText | None = None
    package: Name | None = Field(None, description="Must be the one that is served.")
    reference: Name | None = Field(None, description="Must be the one that is served.")
    gestational_age_weeks: Annotated[int, Field(ge=20, le=45)] | None = None
    head_circumference_cm: Annotated[FiniteFloat, Field(ge=20, le=75)] | None = Field(
        None, description="By tape. It wins over what is measured on the scan."
    )

    @model_validator(mode="after")
    def _one_identifier(self) -> Self:
        given = (self.series_instance_uid, self.study_instance_uid, self.accession_number)
        if sum(each is not None for each in given) != 1:
            raise ValueError(
                "exactly one of series_instance_uid, study_instance_uid, accession_number"
            )
        return self


class SearchIn(Body):
    """A patient, or a study by one of its identifiers. In a body: none belongs into a URL."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"patient_id": "P-0815", "issuer": "KLINIKUM"},
                {"accession_number": "A4711"},
                {"study_instance_uid": "1.2.826.0.1.3680043.8.498.5"},
            ]
        }
    )

    patient_id: ShortText | None = None
    issuer: ShortText | None = None
    accession_number: ShortText | None = None
    study_instance_uid: Uid | None = None

    @model_validator(mode="after")
    def _one_identifier(self) -> Self:
        given = (self.patient_id, self.accession_number, self.study_instance_uid)
        if sum(each is not None for each in given) != 1:
            raise ValueError("exactly one of patient_id, accession_number, study_instance_uid")
        if self.issuer is not None and self.patient_id is None:
            raise ValueError("issuer belongs to patient_id")
        return self
