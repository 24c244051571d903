"""Who was scanned, as far as a measurement needs it."""

from dataclasses import dataclass

from fontanelle.errors import Reason


@dataclass(frozen=True, slots=True)
class Patient:
    """Identity, age and sex of the person in a series.

    Attributes
    ----------
    patient_id, issuer
        As in the header; empty where absent.
    sex
        `M`, `F`, another DICOM value, or None where empty.
    birth_date
        ISO 8601, or None.
    age_days
        Days from birth to acquisition, or None.
    age_source
        `birth_date`, `patient_age`, `given` (on the command line), or None.
    reasons
        Why age or sex cannot be relied on.
    """

    patient_id: str
    issuer: str | None
    sex: str | None
    birth_date: str | None
    age_days: int | None
    age_source: str | None
    reasons: tuple[Reason, ...] = ()


NOBODY = Patient("", None, None, None, None, None)
"""A NIfTI file says nothing of the person."""
