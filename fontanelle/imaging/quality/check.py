"""What one quality check says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fontanelle.errors import Code, Reason


class Grade(StrEnum):
    """Outcome of one quality check.

    A remark is worth a look; `limit` makes the result `limited`, `fail` withholds it.
    """

    PASS = "pass"  # noqa: S105 (a grade, no password)
    REMARK = "remark"
    LIMIT = "limit"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One check: its name, grade, the number it rests on, and a sentence.

    Attributes
    ----------
    reason
        Where it limits or failed.
    uncertainty_ml
        Region to the SD of one measurement of its compartment, where the check measured twice.
    """

    check: str
    grade: Grade
    value: float | None
    sentence: str
    reason: Reason | None = None
    uncertainty_ml: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a number is remarked, limits the result, and withholds it; above is worse."""

    remark: float = float("inf")
    limit: float = float("inf")
    fail: float = float("inf")

    def grade(self, value: float) -> Grade:
        """Return the grade of a number."""
        steps = ((self.fail, Grade.FAIL), (self.limit, Grade.LIMIT), (self.remark, Grade.REMARK))
        return next((grade for least, grade in steps if value > least), Grade.PASS)


def checked(
    name: str, code: Code, grade: Grade, value: float | None, sentence: str
) -> QualityCheck:
    """Return a check, with a reason where it limits or failed."""
    reason = Reason(code, sentence) if grade in {Grade.LIMIT, Grade.FAIL} else None
    return QualityCheck(name, grade, value, sentence, reason)


def outside(value: float, low: float, high: float) -> bool:
    """Return whether a number lies outside a range."""
    return not low <= value <= high
