"""Head size beside that of other children: a circumference is scored, the rest is only shown.

Of intracranial volume and cephalic index there are means of children's CT without an SD: nothing
is scored by a mean.
"""

from dataclasses import dataclass
from enum import StrEnum

from fontanelle.errors import Code, Reason
from fontanelle.norms.comparison import Sex
from fontanelle.norms.head_charts import Chart, cdc_2000, mean_cephalic_index, mean_intracranial_ml
from fontanelle.norms.statistics import Z_95, centile


class Source(StrEnum):
    """Who measured a circumference."""

    GIVEN = "given"
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Circumference:
    """A child's head circumference beside a chart; numbers are None where there is a reason.

    Attributes
    ----------
    cm
        Given with the order, or measured on the scan's outer head surface.
    source
        None where there is neither.
    error_cm
        SD of the measurement on the scan; None for a tape, whose error nobody states.
    expected_cm, low_cm, high_cm
        Median and 95 % range of children of this age and sex.
    z, z_low, z_high
        z, and how far the error of the measurement moves it either way (95 %).
    centile
        Share of typical children with a smaller head, 0 to 100.
    """

    cm: float | None
    source: Source | None
    error_cm: float | None
    chart: str
    reasons: tuple[Reason, ...]
    expected_cm: float | None = None
    low_cm: float | None = None
    high_cm: float | None = None
    z: float | None = None
    z_low: float | None = None
    z_high: float | None = None
    centile: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A measure beside the mean of children of this age and sex; shown, never scored."""

    value: float | None
    mean: float | None
    reasons: tuple[Reason, ...] = ()

    @property
    def percent_of_mean(self) -> float | None:
        """Return the measure in percent of the mean."""
        return None if self.value is None or not self.mean else 100.0 * self.value / self.mean


@dataclass(frozen=True, slots=True)
class HeadSize:
    """How large a child's head is, and of which form.

    Attributes
    ----------
    intracranial_ml
        Space inside the inner table.
    cephalic_index
        Width in percent of length.
    """

    circumference: Circumference
    intracranial_ml: Shown
    cephalic_index: Shown


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a head's size before it is compared.

    Attributes
    ----------
    given_cm
        Circumference by tape, given with the order; it wins.
    measured_cm, error_cm
        Circumference on the scan and its SD.
    not_measured, not_turned
        Why there is no `measured_cm`, no `cephalic_index`.
    """

    intracranial_ml: float | None
    cephalic_index: float | None
    given_cm: float | None = None
    measured_cm: float | None = None
    error_cm: float | None = None
    not_measured: Reason | None = None
    not_turned: Reason | None = None


def head_size(
    measured: Measured, age_days: int | None, sex: Sex | None, chart: Chart | None = None
) -> HeadSize:
    """Put a head's size beside that of children of the same age and sex.

    Parameters
    ----------
    measured
        Of the scan, and given with the order.
    age_days
        The one that is compared, corrected where it is; None where it must not be used.
    sex
        None where it must not be used.
    chart
        Of head circumferences; the CDC's where none is named.
    """
    chart = chart or cdc_2000()
    return HeadSize(
        circumference=_circumference(measured, age_days, sex, chart),
        intracranial_ml=_shown(measured.intracranial_ml, mean_intracranial_ml(age_days, sex), None),
        cephalic_index=_shown(
            measured.cephalic_index, mean_cephalic_index(age_days, sex), measured.not_turned
        ),
    )


def _circumference(
    measured: Measured, age_days: int | None, sex: Sex | None, chart: Chart
) -> Circumference:
    if measured.given_cm is not None:
        cm, source, error_cm = measured.given_cm, Source.GIVEN, None
    elif measured.measured_cm is not None:
        cm, source, error_cm = measured.measured_cm, Source.MEASURED, measured.error_cm
    else:
        reason = measured.not_measured or Reason(
            Code.HEAD_NOT_IN_VIEW, Code.HEAD_NOT_IN_VIEW.meaning
        )
        return Circumference(None, None, None, chart.name, (reason,))
    lms = None if age_days is None or sex is None else chart.at(age_days, sex)
    if lms is None:
        return Circumference(
            cm, source, error_cm, chart.name, (_not_covered(f"The chart {chart.name}"),)
        )
    spread_cm = Z_95 * (error_cm or 0.0)
    return Circumference(
        cm=cm,
        source=source,
        error_cm=error_cm,
        chart=chart.name,
        reasons=(),
        expected_cm=lms.median,
        low_cm=lms.value(-Z_95),
        high_cm=lms.value(Z_95),
        z=lms.z(cm),
        z_low=lms.z(cm - spread_cm),
        z_high=lms.z(cm + spread_cm),
        centile=centile(lms.z(cm)),
    )


def _not_covered(what: str) -> Reason:
    return Reason(
        Code.HEAD_NOT_COVERED,
        f"{what} has no children of this age and sex, or one of the two is not known.",
    )


def _shown(value: float | None, mean: float | None, missing: Reason | None) -> Shown:
    reasons = [] if missing is None or value is not None else [missing]
    if mean is None:
        reasons.append(_not_covered("The mean curve"))
    return Shown(value, mean, tuple(reasons))
