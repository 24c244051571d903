"""Scatter plots of a site's page: volume against age, boys and girls, as SVG without any script."""

from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray

from fontanelle.norms.fitting import Fit, RegionFit
from fontanelle.norms.fitting_diagnostics import leverages
from fontanelle.norms.small_samples import t_half_width

Floats = NDArray[np.float64]
WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 30, 42
MONTHS = 12.0
BOYS, GIRLS = "boys", "girls"


@dataclass(frozen=True, slots=True)
class _Axis:
    """A straight way from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def scatter(
    region: RegionFit, volume_ml: Floats, age_years: Floats, is_boy: NDArray[np.bool_], fitted: Fit
) -> str:
    """Draw one region: a dot a child, lines of what is expected, and 95 % of children between.

    Parameters
    ----------
    volume_ml, age_years, is_boy
        Shape (children,).
    """
    curves = {sex: _curves(sex, region, age_years, is_boy, fitted) for sex in (BOYS, GIRLS)}
    ends = np.concatenate([volume_ml, *(band for _, *bands in curves.values() for band in bands)])
    months = MONTHS * age_years
    across = _Axis(*_padded(months.min(), months.max()), LEFT, WIDTH - RIGHT)
    up = _Axis(*_padded(ends.min(), ends.max()), HEIGHT - BOTTOM, TOP)
    drawn = [
        *_frame(region, across, up),
        *(line for sex, curve in curves.items() for line in _lines(sex, curve, across, up)),
        *(
            _dot(BOYS if boy else GIRLS, across(month), up(ml))
            for month, ml, boy in zip(months, volume_ml, is_boy, strict=True)
        ),
    ]
    title = escape(region.name.replace("_", " "))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{title}: volume against age">' + "".join(drawn) + "</svg>"
    )


def _curves(
    sex: str, region: RegionFit, age_years: Floats, is_boy: NDArray[np.bool_], fitted: Fit
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return months, expected mL, and the 95 % prediction interval's two ends."""
    years = np.linspace(age_years.min(), age_years.max(), 25)
    sex_step = float(sex == BOYS) - fitted.male_share
    age_step = years - fitted.age_mean_years
    expected = region.mean_ml + region.sex.value * sex_step + region.age.value * age_step
    own = np.column_stack([np.ones_like(years), np.full_like(years, sex_step), age_step])
    all_of_them = np.column_stack(
        [np.ones(fitted.n), is_boy - fitted.male_share, age_years - fitted.age_mean_years]
    )
    spread = np.sqrt(1.0 + leverages(all_of_them, at=own))
    half = t_half_width(fitted.df) * region.residual_sd_ml * spread
    return MONTHS * years, expected, expected - half, expected + half


def _lines(
    sex: str, curve: tuple[Floats, Floats, Floats, Floats], across: _Axis, up: _Axis
) -> list[str]:
    months, *heights = curve
    return [
        f'<polyline class="{sex} {kind}" points="'
        + " ".join(
            f"{across(month):.1f},{up(ml):.1f}" for month, ml in zip(months, height, strict=True)
        )
        + '"/>'
        for height, kind in zip(heights, ("expected", "limit", "limit"), strict=True)
    ]


def _frame(region: RegionFit, across: _Axis, up: _Axis) -> list[str]:
    title = escape(region.name.replace("_", " "))
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    drawn = [
        f'<text class="title" x="{LEFT}" y="18">{title}</text>',
        f'<text class="label" x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 6}" '
        'text-anchor="middle">age, months</text>',
        f'<text class="label" transform="translate(13 {(TOP + bottom) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">volume, mL</text>',
    ]
    for value in _ticks(up.low, up.high):
        drawn += [
            f'<path class="grid" d="M{LEFT} {up(value):.1f}H{right}"/>',
            f'<text x="{LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>',
        ]
    for value in _ticks(across.low, across.high):
        drawn.append(
            f'<text x="{across(value):.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
        )
        drawn.append(f'<path class="axis" d="M{across(value):.1f} {bottom}v4"/>')
    drawn.append(f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>')
    return drawn


def _dot(sex: str, x: float, y: float) -> str:
    # Told apart without colour too: discs for boys, crosses for girls.
    if sex == BOYS:
        return f'<circle class="boys" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>'
    return f'<path class="girls" d="M{x - 2.6:.1f} {y - 2.6:.1f}l5.2 5.2m0 -5.2l-5.2 5.2"/>'


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Return round values inside, four to nine of them."""
    rough = (high - low) / 5.0
    step = 10.0 ** floor(log10(rough))
    step *= min((1.0, 2.0, 5.0, 10.0), key=lambda factor: abs(factor * step - rough))
    return [step * at for at in range(ceil(low / step), floor(high / step) + 1)]
