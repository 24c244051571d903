"""Corrected age: a child born preterm is as old as it would be had it been born at term.

corrected age = age - (280 - gestational days at birth), while a rule says so. Practice varies,
so the rule is data: a site sets its own limits.
"""

from dataclasses import dataclass
from typing import Final, Protocol, Self

TERM_DAYS: Final = 280
"""From the last menstrual period to the expected birth (Naegele): 40 weeks."""


class CorrectionSection(Protocol):
    """The settings that make a rule."""

    @property
    def correct_below_weeks(self) -> int: ...
    @property
    def correct_until_days(self) -> int: ...
    @property
    def correct_long_below_weeks(self) -> int: ...
    @property
    def correct_long_until_days(self) -> int: ...


@dataclass(frozen=True, slots=True)
class CorrectionRule:
    """Whose age is corrected, and until when.

    The usual advice is to correct until 24 months, and until 36 months for measures of growth
    where a child was born before 32 weeks. Not verified: it stands in secondary summaries; the
    texts of the AAP and the RCPCH were not read. Hence settings, not constants.

    Attributes
    ----------
    below_weeks
        Born before so many completed weeks, a child is corrected.
    until_days
        Age since birth up to which, this day included.
    long_below_weeks, long_until_days
        The same for those born very early.
    """

    below_weeks: int = 37
    until_days: int = 730
    long_below_weeks: int = 32
    long_until_days: int = 1095

    def __post_init__(self) -> None:
        if self.long_below_weeks > self.below_weeks or self.long_until_days < self.until_days:
            raise ValueError("who is born earlier must not be corrected for a shorter time")

    @classmethod
    def of(cls, section: CorrectionSection) -> Self:
        """Return the rule of a site's settings."""
        return cls(
            below_weeks=section.correct_below_weeks,
            until_days=section.correct_until_days,
            long_below_weeks=section.correct_long_below_weeks,
            long_until_days=section.correct_long_until_days,
        )

    def is_preterm(self, gestational_age_weeks: int | None) -> bool:
        """Tell whether a child was born so early that its age may have to be corrected."""
        return gestational_age_weeks is not None and gestational_age_weeks < self.below_weeks

    def last_day(self, gestational_age_weeks: int) -> int:
        """Return the age since birth up to which a preterm child's age is corrected."""
        is_early = gestational_age_weeks < self.long_below_weeks
        return self.long_until_days if is_early else self.until_days


USUAL_RULE: Final = CorrectionRule()


def corrected_age_days(
    age_days: int, gestational_age_weeks: int | None, rule: CorrectionRule = USUAL_RULE
) -> int | None:
    """Return the corrected age of a child; None where its age is not to be corrected.

    Parameters
    ----------
    age_days
        Since birth.
    gestational_age_weeks
        Completed weeks at birth; None where they are not known. The days beyond the last completed
        week are not known either: up to 6 days, 0.02 SD.
    rule
        Whose age is corrected, and until when.
    """
    if gestational_age_weeks is None or not rule.is_preterm(gestational_age_weeks):
        return None
    if age_days > rule.last_day(gestational_age_weeks):
        return None
    return age_days - (TERM_DAYS - 7 * gestational_age_weeks)
