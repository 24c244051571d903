"""Numbers, ages and times for people: rounded to what they mean, never to more."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

NONE: Final = "–"
"""Where there is no number; why stands beside it."""
DAYS_PER_MONTH: Final = 365.25 / 12
_MINUS: Final = "\N{MINUS SIGN}"


def ml(value: float | None) -> str:
    """Return a volume in mL."""
    return _number(value, "z.1f")


def ml_range(low: float | None, high: float | None) -> str:
    """Return a range in mL."""
    return NONE if low is None or high is None else f"{ml(low)} to {ml(high)}"


def z(value: float | None) -> str:
    """Return a z with its sign."""
    return _number(value, "+z.2f")


def z_range(low: float | None, high: float | None) -> str:
    """Return the interval of a z."""
    return NONE if low is None or high is None else f"{z(low)} to {z(high)}"


def centile(value: float | None) -> str:
    """Return a centile. No child is at 0 or 100: rounding must not say so."""
    if value is not None and not 0.1 <= value <= 99.9:
        return "<0.1" if value < 50 else ">99.9"
    return _number(value, "z.1f")


def signed_percent(value: float | None) -> str:
    """Return a percentage that may lie on either side of zero."""
    return _number(value, "+z.1f")


def centile_range(low: float | None, high: float | None) -> str:
    """Return the interval of a centile."""
    return NONE if low is None or high is None else f"{centile(low)} to {centile(high)}"


def percent(value: float | None) -> str:
    """Return a share."""
    return _number(value, "z.1f")


def signed_ml(value: float | None) -> str:
    """Return a change in mL."""
    return _number(value, "+z.1f")


def cm(value: float | None) -> str:
    """Return a circumference in cm."""
    return _number(value, "z.1f")


def cm_range(low: float | None, high: float | None) -> str:
    """Return a range in cm."""
    return NONE if low is None or high is None else f"{cm(low)} to {cm(high)}"


def seconds(value: float | None) -> str:
    """Return a duration."""
    return NONE if value is None else f"{value:.1f} s"


def age(days: int | None) -> str:
    """Return an age in days, as it is compared, and in months, as people think."""
    return "age unknown" if days is None else f"{days} days ({days / DAYS_PER_MONTH:.1f} months)"


def mm(steps: Sequence[float]) -> str:
    """Return a distance in mm, or its smallest and largest value."""
    low, high = min(steps), max(steps)
    return f"{low:.3g} mm" if high - low < 0.001 else f"{low:.3g} to {high:.3g} mm"


def moment(at: datetime | str | None) -> str:
    """Return a time of day where this machine is, with its zone."""
    if at is None:
        return NONE
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return when.astimezone().strftime("%Y-%m-%d %H:%M %Z")


def dicom_date(text: str | None) -> str:
    """Return a DICOM date as people write it; what is no date stays as it is."""
    if not text:
        return NONE
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return text


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form).replace("-", _MINUS)
